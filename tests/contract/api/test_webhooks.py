"""Admission webhooks: servers outside change and refuse writes over HTTPS."""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from miniplane.pki import Subject, new_authority, new_identity
from tests.contract.api.conftest import MERGE, Api, config_map

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


def allow(_request: dict[str, Any]) -> dict[str, Any]:
    """Say yes."""
    return {"allowed": True}


@dataclass
class Hook:
    """A webhook's server: what it was asked, and what it answers with."""

    url: str = ""
    ca: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], dict[str, Any]] = allow

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Answer a review."""
        review = await request.json()
        self.seen.append(review["request"])
        response = {"uid": review["request"]["uid"]} | self.answer(review["request"])
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})

    def spec(self, **more: Any) -> dict[str, Any]:
        """The webhook for ConfigMaps of the default namespace."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
        return {
            "name": "a.example.com",
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": self.url, "caBundle": self.ca},
        } | more


@pytest.fixture
async def hook(tmp_path: Path) -> AsyncIterator[Hook]:
    """A webhook on 127.0.0.1 with a certificate of an authority of its own."""
    now = datetime.now(UTC)
    authority = new_authority(now)
    pair = new_identity(authority, Subject("hook", hosts=("127.0.0.1",)), now)
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_bytes(pair.cert)
    key.write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    made = Hook(ca=base64.b64encode(authority.cert).decode())
    server = RawTestServer(made.serve, scheme="https", access_log=None)
    await server.start_server(ssl=context)
    async with server:
        made.url = f"https://127.0.0.1:{server.port}/check"
        yield made


async def register(api: Api, *hooks: dict[str, Any], kind: str = "validating") -> list[str]:
    """Put webhooks in force; the warnings of that."""
    body = {"metadata": {"name": "hooks"}, "webhooks": list(hooks)}
    answer = await api("POST", f"{GROUP}/{kind}webhookconfigurations", body)
    assert answer.status == 201, answer.text
    return answer.warnings


def patching(*operations: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers with a JSON patch."""
    patch = base64.b64encode(orjson.dumps(operations)).decode()
    return lambda _request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


async def test_a_validating_webhook_is_told_everything_and_refuses(api: Api, hook: Hook) -> None:
    """It sees operation, objects, user and dryRun of each write; its refusal is upstream's, and nothing is stored."""
    await register(api, hook.spec())
    await api.make(MAPS, config_map("x"))
    await api("PATCH", f"{MAPS}/x", {"data": {"k": "w"}}, media=MERGE, dryRun="All")
    hook.answer = lambda _: {"allowed": False, "status": {"message": "not today", "code": 403, "reason": "Forbidden"}}
    answer = await api("DELETE", f"{MAPS}/x")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == 'admission webhook "a.example.com" denied the request: not today'
    assert (await api("GET", f"{MAPS}/x")).obj["data"] == {"k": "v"}
    made, changed, gone = hook.seen
    assert [item["operation"] for item in hook.seen] == ["CREATE", "UPDATE", "DELETE"]
    assert made["object"]["data"] == {"k": "v"}
    assert (made["oldObject"], made["dryRun"], made["resource"]["resource"]) == (None, False, "configmaps")
    assert (changed["oldObject"]["data"], changed["object"]["data"], changed["dryRun"]) == (
        {"k": "v"},
        {"k": "w"},
        True,
    )
    assert (gone["object"], gone["oldObject"]["data"], gone["name"]) == (None, {"k": "v"}, "x")
    assert made["userInfo"]["username"]


async def test_a_refusal_without_reason_is_bad_request(api: Api, hook: Hook) -> None:
    """A bare no is 400 without explanation; the warnings of one that allows reach the client."""
    hook.answer = lambda _: {"allowed": True, "warnings": ["mind"]}
    await register(api, hook.spec())
    warned = await api("POST", MAPS, config_map("w"))
    assert (warned.status, warned.warnings) == (201, ['299 - "mind"'])
    hook.answer = lambda _: {"allowed": False}
    answer = await api("POST", MAPS, config_map("x"))
    assert answer.status == 400, answer.text
    assert answer.message == 'admission webhook "a.example.com" denied the request without explanation'


async def test_a_mutating_webhook_changes_the_object(api: Api, hook: Hook) -> None:
    """Its patch is stored, by create, update and apply; server's fields and wrong types do not get through."""
    hook.answer = patching(
        {"op": "add", "path": "/data/by", "value": "hook"}, {"op": "replace", "path": "/metadata/uid", "value": "mine"}
    )
    await register(api, hook.spec(), kind="mutating")
    made = await api.make(MAPS, config_map("x"))
    assert made["data"] == {"k": "v", "by": "hook"}
    assert made["metadata"]["uid"] != "mine"
    changed = await api("PATCH", f"{MAPS}/x", {"data": {"k": "w", "by": None}}, media=MERGE)
    assert changed.obj["data"] == {"k": "w", "by": "hook"}
    hook.answer = patching({"op": "add", "path": "/data/by", "value": 7})
    bad = await api("POST", MAPS, config_map("y"))
    assert bad.status == 500
    assert "its patch can't be applied" in bad.message
    hook.answer = patching({"op": "replace", "path": "/metadata/name", "value": "z"})
    assert (await api("POST", MAPS, config_map("y"))).status == 500
    assert (await api("GET", f"{MAPS}/y")).status == 404


async def test_one_that_asked_for_it_is_called_again(api: Api, hook: Hook) -> None:
    """After another webhook's change, one with IfNeeded sees the result; one with Never does not."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        count = str(len(hook.seen))
        return patching({"op": "add", "path": f"/data/n{count}", "value": count})(request)

    hook.answer = answer
    first = hook.spec(name="a.example.com", reinvocationPolicy="IfNeeded")
    await register(api, first, hook.spec(name="b.example.com", reinvocationPolicy="Never"), kind="mutating")
    made = await api.make(MAPS, config_map("x"))
    assert made["data"] == {"k": "v", "n1": "1", "n2": "2", "n3": "3"}


@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_the_failure_policy_decides_about_one_that_can_not_be_asked(api: Api, hook: Hook, kind: str) -> None:
    """Fail is 500 with the reason, Ignore lets the write pass; a certificate of another authority is no answer."""
    other = base64.b64encode(new_authority(datetime.now(UTC)).cert).decode()
    config = {"url": hook.url, "caBundle": other}
    await register(api, hook.spec(clientConfig=config), kind=kind)
    answer = await api("POST", MAPS, config_map("x"))
    assert answer.status == 500
    head = 'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: Post "https://'
    assert answer.message.startswith(head)
    assert not hook.seen
    patch = [{"op": "add", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    media = "application/json-patch+json"
    path = f"{GROUP}/{kind}webhookconfigurations/hooks"
    assert (await api("PATCH", path, patch, media=media)).status == 200
    await api.make(MAPS, config_map("x"))


async def test_rules_selectors_and_conditions_choose(api: Api, hook: Hook) -> None:
    """Only what is meant is sent; a condition that can't be understood is refused when written."""
    hook.answer = lambda _: {"allowed": False}
    condition = {"name": "big", "expression": "object.metadata.name == 'x'"}
    chosen = hook.spec(
        objectSelector={"matchLabels": {"a": "b"}},
        namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "default"}},
        matchConditions=[condition],
    )
    await register(api, chosen)
    await api.make(MAPS, config_map("x"))
    await api.make(MAPS, config_map("y", labels={"a": "b"}))
    await api.make("/api/v1/namespaces/kube-public/configmaps", config_map("x", labels={"a": "b"}))
    assert (await api("PATCH", f"{MAPS}/x", {"metadata": {"labels": {"a": "b"}}}, media=MERGE)).status == 400
    assert len(hook.seen) == 1
    bad = {"metadata": {"name": "bad"}, "webhooks": [hook.spec(matchConditions=[condition | {"expression": "1 +"}])]}
    answer = await api("POST", f"{GROUP}/validatingwebhookconfigurations", bad)
    assert (answer.status, answer.fields) == (422, ["webhooks[0].matchConditions[0].expression"])


async def test_a_service_that_is_not_there_is_named(api: Api, hook: Hook) -> None:
    """The writer of a service reference is warned, and a write that needs it says what is missing."""
    reference = {"service": {"name": "checker", "namespace": "default"}}
    warnings = await register(api, hook.spec(clientConfig=reference))
    assert any("clientConfig.service" in line for line in warnings)
    answer = await api("POST", MAPS, config_map("x"))
    assert answer.status == 500
    assert 'service "checker" not found' in answer.message


async def test_a_broken_answer_is_a_failure(api: Api, hook: Hook) -> None:
    """An answer to another request, or with parts of a wrong shape, fails the call and not the server."""
    await register(api, hook.spec())
    wrongs: tuple[dict[str, Any], ...] = (
        {"uid": "other", "allowed": True},
        {"allowed": True, "warnings": 3},
        {"status": "no"},
    )
    left = iter(wrongs)
    hook.answer = lambda _: next(left)
    for _ in wrongs:
        answer = await api("POST", MAPS, config_map("x"))
        assert (answer.status, "failed calling webhook" in answer.message) == (500, True), answer.text
