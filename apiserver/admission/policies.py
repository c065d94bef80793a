"""ValidatingAdmissionPolicy: expressions decide which writes may pass, as soon as a policy is bound.

Upstream: k8s.io/apiserver, pkg/admission/plugin/policy/validating. Not there: the variable `authorizer`, and the action
Audit, of which the answer to the policy's or binding's writer warns.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from miniplane.api import cel
from miniplane.api.kind import Object, Registry
from miniplane.api.matching import Question, matches
from miniplane.api.selectors import LabelSelector
from miniplane.errors import ApiError, Cause, Reason, forbidden, invalid

from ..store.base import ResourceKey
from .asked import bindings_of, question_of
from .chain import Attributes, Operation, Plugin

POLICIES = "admissionregistration.k8s.io/validatingadmissionpolicies"
BINDINGS = "admissionregistration.k8s.io/validatingadmissionpolicybindings"
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "variables")
_USES = re.compile(r"\bvariables\.([A-Za-z_][A-Za-z0-9_]*)")
_REASONS = {
    "Unauthorized": Reason.UNAUTHORIZED,
    "Forbidden": Reason.FORBIDDEN,
    "Invalid": Reason.INVALID,
    "RequestEntityTooLarge": Reason.REQUEST_ENTITY_TOO_LARGE,
}
Kinds = Callable[[], Registry]
"""The kinds that are served now."""


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a validation does not hold."""

    message: str
    reason: str = "Invalid"


class Evaluation:
    """The expressions of one policy for one write and one object of parameters. Variables are worked out when used."""

    def __init__(self, spec: Object, bindings: Mapping[str, Any]) -> None:
        self._variables = {item["name"]: item["expression"] for item in spec.get("variables") or ()}
        self._known: dict[str, Any] = {}
        self._bindings = {**bindings, "variables": self._known}

    def value(self, expression: str) -> Any:
        """What an expression comes to. Raises CelError."""
        for name in _USES.findall(expression):
            if name in self._variables and name not in self._known:
                self._known[name] = self.value(self._variables[name])
        return cel.compile(expression, VARIABLES).evaluate(self._bindings)


def judged(spec: Object, evaluation: Evaluation) -> Iterator[Denial]:
    """The validations that do not hold; one that can't be evaluated counts as the failure policy says."""
    fails = spec.get("failurePolicy", "Fail") == "Fail"
    for validation in spec.get("validations") or ():
        expression = str(validation["expression"]).strip()
        try:
            holds = evaluation.value(expression)
        except cel.CelError as error:
            if fails:
                yield Denial(f"expression '{expression}' resulted in error: {error}")
            continue
        if holds is not True:
            yield Denial(_message(validation, expression, evaluation), validation.get("reason") or "Invalid")


def _message(validation: Object, expression: str, evaluation: Evaluation) -> str:
    words = str(validation.get("message") or "").strip() or f"failed expression: {expression}"
    if validation.get("messageExpression"):
        try:
            made = evaluation.value(validation["messageExpression"])
        except cel.CelError:
            return words
        if isinstance(made, str) and made.strip() and "\n" not in made.strip():
            return made.strip()
    return words


class Policies:
    """The check of one server."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def check(self, attributes: Attributes) -> None:
        """Ask every bound policy; the first that denies refuses the write."""
        bindings = attributes.store.list(BINDINGS).entries
        if not bindings or attributes.kind.group == "admissionregistration.k8s.io":
            return
        question = question_of(attributes)
        for binding in bindings:
            policy = attributes.store.get(ResourceKey(POLICIES, "", binding.obj["spec"]["policyName"]))
            if policy is not None:
                self._ask(policy.obj, binding.obj, question, attributes)

    def _ask(self, policy: Object, binding: Object, question: Question, attributes: Attributes) -> None:
        spec, bound = policy["spec"], binding["spec"]
        if not matches(spec.get("matchConstraints") or {}, question):
            return
        if not matches(bound.get("matchResources") or {}, question, no_rules=True):
            return
        told = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
        for denial in self._denials(spec, bound, attributes):
            actions = bound.get("validationActions") or ()
            if "Warn" in actions:
                words = f"Validation failed for {told}: {denial.message}"
                attributes.warnings.append(words)
            if "Deny" in actions:
                raise _refusal(attributes, f"{told} denied request: {denial.message}", denial)

    def _denials(self, spec: Object, bound: Object, attributes: Attributes) -> Iterator[Denial]:
        found = self._params(spec, bound, attributes)
        if isinstance(found, Denial):
            yield found
            return
        for params in found:
            evaluation = Evaluation(spec, bindings_of(attributes) | {"params": params})
            try:
                meant = all(evaluation.value(item["expression"]) is True for item in spec.get("matchConditions") or ())
            except cel.CelError as error:
                if spec.get("failurePolicy", "Fail") == "Fail":
                    yield Denial(f"match condition failed: {error}")
                continue
            if meant:
                yield from judged(spec, evaluation)

    def _params(self, spec: Object, bound: Object, attributes: Attributes) -> list[Object | None] | Denial:
        """The objects of parameters, each of which is judged by; None alone where a policy takes none."""
        wanted, reference = spec.get("paramKind"), bound.get("paramRef")
        if not wanted or not reference:
            return [None]
        kind = self._kinds().by_kind(wanted["apiVersion"], wanted["kind"])
        if kind is None:
            return Denial(
                f"failed to find resource referenced by paramKind: '{wanted['apiVersion']}, {wanted['kind']}'"
            )
        resource = f"{kind.stored.group}/{kind.plural}"
        namespace = (reference.get("namespace") or attributes.namespace) if kind.namespaced else ""
        found: list[Object | None]
        if reference.get("name"):
            entry = attributes.store.get(ResourceKey(resource, namespace, reference["name"]))
            found = [entry.obj] if entry else []
        else:
            selector = LabelSelector.from_object(reference.get("selector"))
            entries = attributes.store.list(resource, namespace).entries
            found = [item.obj for item in entries if selector.matches(item.obj["metadata"].get("labels") or {})]
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            return Denial("no params found for policy binding with `Deny` parameterNotFoundAction")
        return found


def _refusal(attributes: Attributes, why: str, denial: Denial) -> ApiError:
    """Upstream's: Forbidden's words, and the reason that the validation names."""
    words = forbidden(attributes.kind.resource, attributes.name, why)
    return ApiError(words.message, reason=_REASONS[denial.reason], details=words.details, causes=(Cause("", why),))


def _understood(attributes: Attributes) -> None:
    """A policy whose expressions can't be understood is refused when it is written."""
    policy = attributes.obj
    assert policy is not None
    spec, causes = policy["spec"], []
    for field, key in (("matchConditions", "expression"), ("variables", "expression"), ("validations", "expression")):
        for index, item in enumerate(spec.get(field) or ()):
            path = f"spec.{field}[{index}].{key}"
            if problem := _problem(item.get(key) or ""):
                text = f'Invalid value: "{item[key]}": compilation failed: {problem}'
                causes.append(Cause("FieldValueInvalid", text, path))
    if causes:
        raise invalid(attributes.kind.resource, attributes.name, causes)


def _problem(expression: str) -> str:
    try:
        cel.compile(expression, VARIABLES)
    except cel.CelError as error:
        return str(error)
    return ""


def _audit(attributes: Attributes) -> None:
    binding = attributes.obj
    assert binding is not None
    if "Audit" in (binding["spec"].get("validationActions") or ()):
        attributes.warnings.append("spec.validationActions: Audit is taken, and nothing is written to the audit log")


_WRITES = frozenset((Operation.CREATE, Operation.UPDATE))
SYNTAX = Plugin(
    "ValidatingAdmissionPolicy",
    operations=_WRITES,
    resources=frozenset(("validatingadmissionpolicies.admissionregistration.k8s.io",)),
    validate=_understood,
)
ACTIONS = Plugin(
    "ValidatingAdmissionPolicy",
    operations=_WRITES,
    resources=frozenset(("validatingadmissionpolicybindings.admissionregistration.k8s.io",)),
    validate=_audit,
)


def plugin(kinds: Kinds) -> Plugin:
    """The plugin of one server."""
    return Plugin(
        "ValidatingAdmissionPolicy",
        operations=frozenset(Operation),
        subresources=frozenset(("*",)),
        validate=Policies(kinds).check,
    )
