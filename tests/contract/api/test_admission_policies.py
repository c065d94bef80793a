"""ValidatingAdmissionPolicy: expressions decide which writes pass."""

from typing import Any

import pytest

from tests.contract.api.conftest import MERGE, Api

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


def rules(*resources: str, operations: tuple[str, ...] = ("*",), group: str = "") -> dict[str, Any]:
    """What a policy is about."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": list(resources)}
    return {"resourceRules": [rule]}


async def bind(api: Api, spec: dict[str, Any], *, actions: tuple[str, ...] = ("Deny",), **binding: Any) -> None:
    """Make a policy `p` and its binding `b`."""
    whole = {"matchConstraints": rules("configmaps")} | spec
    await api.make(f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": whole})
    bound = {"policyName": "p", "validationActions": list(actions)} | binding
    await api.make(f"{GROUP}/validatingadmissionpolicybindings", {"metadata": {"name": "b"}, "spec": bound})


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"metadata": {"name": name}, "data": data}


HEAD = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "


@pytest.mark.parametrize(
    ("validation", "status", "words"),
    [
        ({"expression": "size(object.data) < 2"}, 422, "failed expression: size(object.data) < 2"),
        ({"expression": "false", "message": "never"}, 422, "never"),
        (
            {"expression": "false", "reason": "Forbidden", "messageExpression": "'no ' + object.metadata.name"},
            403,
            "no x",
        ),
        ({"expression": "object.nothing == 1"}, 422, "expression 'object.nothing == 1' resulted in error: no such key"),
        ({"expression": "variables.many"}, 422, "failed expression: variables.many"),
    ],
)
async def test_a_validation_that_does_not_hold_refuses(
    api: Api, validation: dict[str, Any], status: int, words: str
) -> None:
    """The write is refused with upstream's words, the message and the reason of the validation, and changes nothing."""
    variables = [
        {"name": "few", "expression": "size(object.data) < 2"},
        {"name": "many", "expression": "variables.few"},
    ]
    await bind(api, {"validations": [validation], "variables": variables})
    before = api.store.revision
    answer = await api("POST", MAPS, config_map("x", a="1", b="2"))
    assert answer.status == status, answer.text
    assert f'configmaps "x" is forbidden: {HEAD}{words}' in answer.message
    assert api.store.revision == before


async def test_what_holds_or_is_not_meant_passes(api: Api) -> None:
    """Other kinds, operations, namespaces and conditions are left alone; the binding narrows further."""
    await bind(
        api,
        {
            "matchConstraints": rules("configmaps", operations=("UPDATE",)),
            "validations": [{"expression": "object.data == oldObject.data", "message": "fixed"}],
            "matchConditions": [{"name": "mine", "expression": "object.metadata.name.startsWith('x')"}],
        },
        matchResources={"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}},
    )
    for name in ("x", "y"):
        await api.make(MAPS, config_map(name, a="1"))
    await api.make("/api/v1/namespaces/kube-public/configmaps", config_map("x", a="1"))
    change = {"data": {"a": "2"}}
    assert (await api("PATCH", f"{MAPS}/y", change, media=MERGE)).status == 200
    elsewhere = "/api/v1/namespaces/kube-public/configmaps/x"
    assert (await api("PATCH", elsewhere, change, media=MERGE)).status == 200
    assert (await api("PATCH", f"{MAPS}/x", {"metadata": {"labels": {"a": "b"}}}, media=MERGE)).status == 200
    refused = await api("PATCH", f"{MAPS}/x", change, media=MERGE)
    assert (refused.status, "fixed" in refused.message) == (422, True)
    assert (await api("DELETE", f"{MAPS}/x")).status == 200


async def test_deletions_and_users_are_judged_too(api: Api) -> None:
    """On a deletion `object` is null and `oldObject` is what goes; `request` tells who asks for what."""
    expression = "request.operation != 'DELETE' || (object == null && oldObject.metadata.name != 'kept')"
    await bind(api, {"validations": [{"expression": expression}, {"expression": "request.userInfo.username != ''"}]})
    for name in ("kept", "other"):
        await api.make(MAPS, config_map(name))
    assert (await api("DELETE", f"{MAPS}/kept")).status == 422
    assert (await api("DELETE", f"{MAPS}/other")).status == 200


async def test_warnings_let_through(api: Api) -> None:
    """With Warn alone the answer carries a Warning and the write is stored."""
    await bind(api, {"validations": [{"expression": "false", "message": "hm"}]}, actions=("Warn",))
    answer = await api("POST", MAPS, config_map("x"))
    assert answer.status == 201
    assert any("Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': hm" in w for w in answer.warnings)


async def test_parameters(api: Api) -> None:
    """The object that a binding names is there as `params`; a missing one denies where that was asked for."""
    await bind(
        api,
        {
            "paramKind": {"apiVersion": "v1", "kind": "Secret"},
            "validations": [{"expression": "size(object.data) <= int(params.metadata.labels.most)"}],
        },
        paramRef={"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"},
    )
    missing = await api("POST", MAPS, config_map("x"))
    assert "no params found" in missing.message
    secret = {"metadata": {"name": "limits", "labels": {"most": "1"}}}
    await api.make("/api/v1/namespaces/default/secrets", secret)
    assert (await api("POST", MAPS, config_map("x", a="1"))).status == 201
    assert (await api("POST", MAPS, config_map("y", a="1", b="2"))).status == 422


async def test_a_policy_that_makes_no_sense_is_refused(api: Api) -> None:
    """Expressions that can't be compiled are named by their path; failurePolicy Ignore lets errors pass."""
    spec = {"matchConstraints": rules("configmaps"), "validations": [{"expression": "object.("}]}
    wrong = await api("POST", f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "w"}, "spec": spec})
    assert (wrong.status, wrong.fields) == (422, ["spec.validations[0].expression"])
    await bind(api, {"failurePolicy": "Ignore", "validations": [{"expression": "object.nothing == 1"}]})
    assert (await api("POST", MAPS, config_map("x"))).status == 201
