"""Admission webhooks: servers outside that may change or refuse writes.

Mutating ones are asked one after the other, in the order of their configurations' names, validating ones together.
Upstream: k8s.io/apiserver, pkg/admission/plugin/webhook. Not there: AdmissionReview v1beta1, the variable `authorizer`,
and audit annotations. A service reference is dialled at its cluster address, which a server outside of the cluster's
network, as that of `miniplane up`, can't reach; whoever writes one is warned.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from miniplane.api import cel, patch
from miniplane.api.kind import Kind, Object
from miniplane.api.matching import matches
from miniplane.errors import ApiError, Cause, Reason, from_status, invalid

from ..store.base import ResourceKey, Store
from .asked import bindings_of, question_of, request_of
from .chain import Attributes, Operation, Plugin

log = logging.getLogger("apiserver.webhooks")

GROUP = "admissionregistration.k8s.io"
MUTATING = f"{GROUP}/mutatingwebhookconfigurations"
VALIDATING = f"{GROUP}/validatingwebhookconfigurations"
REVIEW = "admission.k8s.io/v1"
VARIABLES = ("object", "oldObject", "request", "namespaceObject")
_BAD_REQUEST = 400
_OPTIONS = {Operation.CREATE: "CreateOptions", Operation.UPDATE: "UpdateOptions", Operation.DELETE: "DeleteOptions"}
_NAMES = ("name", "namespace")
_KEPT = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)
"""Metadata that no webhook changes: the server's own."""
_PARTS_OF_STATUS = ("status", "approval")


class CallError(Exception):
    """A webhook could not be asked, or its answer is none."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call. `ca` is PEM, empty for the system's authorities; `host` is whom the certificate names, if not the URL."""

    url: str
    body: bytes
    ca: bytes
    host: str
    timeout_s: int


Post = Callable[[Outgoing], Awaitable[bytes]]
"""Sends a call and gives the answer's body. Raises CallError."""
Check = Callable[[Kind, Object], None]
"""Raises an ApiError for an object that is none of its kind."""


def _hooks(store: Store, resource: str) -> Sequence[Object]:
    found = sorted(store.list(resource).entries, key=lambda entry: entry.key.name)
    return [
        {**hook, "key": f"{entry.key.name}/{hook['name']}"}
        for entry in found
        for hook in entry.obj.get("webhooks") or ()
    ]


class Webhooks:
    """The webhooks of one server."""

    def __init__(self, post: Post, check: Check) -> None:
        self._post = post
        self._check = check

    def mutate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Let them change the object; nothing to wait for where there are none."""
        hooks = [] if attributes.kind.group == GROUP else _hooks(attributes.store, MUTATING)
        return self._mutate(hooks, attributes) if hooks else None

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Ask them; nothing to wait for where none is meant."""
        hooks = [] if attributes.kind.group == GROUP else _hooks(attributes.store, VALIDATING)
        meant = [hook for hook in hooks if _meant(hook, attributes)]
        return self._validate(meant, attributes) if meant else None

    async def _mutate(self, hooks: Sequence[Object], attributes: Attributes) -> None:
        for hook in hooks:
            if attributes.is_second_round and not _asked_again(hook, attributes):
                continue
            if not _meant(hook, attributes):
                continue
            response = await self._ask(hook, attributes)
            if response and response.get("patch"):
                self._take(hook, response, attributes)
            if attributes.obj is not None:
                attributes.called[hook["key"]] = orjson.dumps(attributes.obj)

    async def _validate(self, hooks: Sequence[Object], attributes: Attributes) -> None:
        answers = await asyncio.gather(*(self._ask(hook, attributes) for hook in hooks), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _ask(self, hook: Object, attributes: Attributes) -> Object | None:
        """The response of a webhook that allows; None of one that failed and may. Raises the refusal."""
        request = _review(attributes)
        try:
            response = await self._answer(hook, request, attributes)
        except CallError as error:
            words = f'failed calling webhook "{hook["name"]}": {error}'
            if hook.get("failurePolicy", "Fail") == "Ignore":
                log.warning("failing open: %s", words)
                return None
            raise ApiError(f"Internal error occurred: {words}") from error
        attributes.warnings += [str(line) for line in response.get("warnings") or ()]
        if response.get("allowed") is not True:
            raise _refusal(hook["name"], response.get("status") or {})
        return response

    async def _answer(self, hook: Object, request: Object, attributes: Attributes) -> Object:
        if "v1" not in hook["admissionReviewVersions"]:
            raise CallError("webhook does not accept known AdmissionReview versions: this server speaks v1")
        body = orjson.dumps({"apiVersion": REVIEW, "kind": "AdmissionReview", "request": request})
        config, timeout_s = hook["clientConfig"], int(hook.get("timeoutSeconds") or 10)
        url, host = _address(config, attributes.store)
        ca = base64.b64decode(config.get("caBundle") or "")
        answer = await self._post(Outgoing(f"{url}?timeout={timeout_s}s", body, ca, host, timeout_s))
        return _read(answer, request["uid"])

    def _take(self, hook: Object, response: Object, attributes: Attributes) -> None:
        """Change the object as a response says."""
        obj = attributes.obj
        if obj is None:
            raise _internal(hook, "admission webhook attempted to modify the object, which is not supported")
        if response.get("patchType") != "JSONPatch":
            raise _internal(hook, f"unsupported patch type {response.get('patchType')!r}")
        try:
            patched = patch.json_patch(obj, orjson.loads(base64.b64decode(response["patch"], validate=True)))
            self._check(attributes.kind, patched)
        except (binascii.Error, ValueError, TypeError, ApiError) as error:
            raise _internal(hook, f"its patch can't be applied: {error}") from error
        _restore(hook, patched, obj, attributes)
        attributes.kind.defaults(patched)
        if patched != obj:
            attributes.is_reshaped = True
            obj.clear()
            obj |= patched


def _asked_again(hook: Object, attributes: Attributes) -> bool:
    """Whether it wants to know what others made of the object that it has seen."""
    seen = attributes.called.get(hook["key"])
    return hook.get("reinvocationPolicy") == "IfNeeded" and seen is not None and seen != orjson.dumps(attributes.obj)


def _meant(hook: Object, attributes: Attributes) -> bool:
    match = {**hook, "resourceRules": hook.get("rules") or ()}
    if not hook.get("rules") or not matches(match, question_of(attributes)):
        return False
    conditions, error = hook.get("matchConditions") or (), None
    bindings = bindings_of(attributes) if conditions else {}
    for condition in conditions:
        try:
            if cel.compile(condition["expression"], VARIABLES).evaluate(bindings) is not True:
                return False
        except cel.CelError as failure:
            error = error or failure
    if error is None:
        return True
    if hook.get("failurePolicy", "Fail") == "Ignore":
        return False
    raise _internal(hook, f"match conditions can't be evaluated: {error}")


def _review(attributes: Attributes) -> Object:
    options = {"apiVersion": "meta.k8s.io/v1", "kind": _OPTIONS[attributes.operation]}
    told = {name: value for name, value in request_of(attributes).items() if value not in ("", None)}
    return told | {"object": attributes.obj, "oldObject": attributes.old, "options": options}


def _address(config: Object, store: Store) -> tuple[str, str]:
    """The URL, and the name that the certificate must bear where that is not the URL's own."""
    if config.get("url"):
        return config["url"], ""
    wanted = config["service"]
    name, namespace, port = wanted["name"], wanted["namespace"], wanted.get("port") or 443
    entry = store.get(ResourceKey("/services", namespace, name))
    if entry is None:
        raise CallError(f'failed to call webhook: service "{name}" not found')
    spec = entry.obj["spec"]
    if port not in [item.get("port") for item in spec.get("ports") or ()]:
        raise CallError(f'failed to call webhook: no service port {port} found for service "{name}"')
    address = spec.get("clusterIP") or "None"
    if address == "None":
        raise CallError(f'failed to call webhook: service "{name}" has no cluster IP')
    literal = f"[{address}]" if ":" in address else address
    return f"https://{literal}:{port}{wanted.get('path') or '/'}", f"{name}.{namespace}.svc"


def _read(answer: bytes, uid: str) -> Object:
    """The response in an AdmissionReview."""
    try:
        review = orjson.loads(answer)
    except ValueError as error:
        raise CallError(f"the answer is no JSON: {error}") from error
    review = review if isinstance(review, dict) else {}
    told = f"{review.get('apiVersion')}, Kind={review.get('kind')}"
    if told != f"{REVIEW}, Kind=AdmissionReview":
        raise CallError(f"expected webhook response of {REVIEW}, Kind=AdmissionReview, got {told}")
    response = review.get("response")
    if not isinstance(response, dict):
        raise CallError("webhook response was absent")
    if not isinstance(response.get("warnings") or [], list) or not isinstance(response.get("status") or {}, dict):
        raise CallError("webhook response is malformed")
    if response.get("uid") != uid:
        raise CallError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    return response


def _restore(hook: Object, patched: Any, old: Object, attributes: Attributes) -> None:
    """Put back what is not the webhook's to change."""
    meta, before = patched["metadata"], old["metadata"]
    same = patched.get("kind") == old["kind"] and patched.get("apiVersion") == old["apiVersion"]
    if not same or any(meta.get(name) != before.get(name) for name in _NAMES):
        raise _internal(hook, "it changes the object's kind, name or namespace")
    for name in _KEPT:
        meta.pop(name, None)
        if name in before:
            meta[name] = before[name]
    kept: tuple[str, ...] = ("status",) if attributes.kind.subresource("status") else ()
    if attributes.subresource in _PARTS_OF_STATUS:
        kept = tuple(name for name in {*patched, *old} if name not in ("metadata", "status"))
    for name in kept:
        patched.pop(name, None)
        if name in old:
            patched[name] = old[name]


def _internal(hook: Object, why: str) -> ApiError:
    return ApiError(f'Internal error occurred: admission webhook "{hook["name"]}": {why}')


def _refusal(name: str, status: Object) -> ApiError:
    """The Status of a denial: the webhook's own code, reason and details."""
    head = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    try:
        told = from_status(status, _BAD_REQUEST)
        code = max(int(told.code), _BAD_REQUEST)
    except (AttributeError, TypeError, ValueError):  # a status of another shape: the refusal counts
        return ApiError(f"{head} without explanation", reason=Reason.UNKNOWN, code=_BAD_REQUEST)
    words = f"{head}: {why}" if why else f"{head} without explanation"
    return ApiError(words, reason=told.reason, code=code, details=told.details, causes=told.causes)


def _syntax(attributes: Attributes) -> None:
    """Conditions that can't be understood are refused when they are written; of services the writer is warned."""
    obj = attributes.obj
    assert obj is not None
    causes = []
    for index, hook in enumerate(obj.get("webhooks") or ()):
        for place, condition in enumerate(hook.get("matchConditions") or ()):
            try:
                cel.compile(condition["expression"], VARIABLES)
            except cel.CelError as error:
                text = f'Invalid value: "{condition["expression"]}": compilation failed: {error}'
                path = f"webhooks[{index}].matchConditions[{place}].expression"
                causes.append(Cause("FieldValueInvalid", text, path))
        if hook["clientConfig"].get("service"):
            attributes.warnings.append(
                f"webhooks[{index}].clientConfig.service: it is called at its cluster IP, which an API server "
                "outside of the cluster's network, as that of `miniplane up`, can't reach; use url"
            )
    if causes:
        raise invalid(attributes.kind.resource, attributes.name, causes)


SYNTAX = Plugin(
    "Webhooks",
    operations=frozenset((Operation.CREATE, Operation.UPDATE)),
    resources=frozenset(f"{kind}webhookconfigurations.{GROUP}" for kind in ("mutating", "validating")),
    validate=_syntax,
)


def plugin(post: Post, check: Check) -> Plugin:
    """The plugin of one server: both kinds of webhooks."""
    webhooks = Webhooks(post, check)
    return Plugin(
        "AdmissionWebhooks",
        operations=frozenset(Operation),
        subresources=frozenset(("*",)),
        mutate=webhooks.mutate,
        validate=webhooks.validate,
    )
