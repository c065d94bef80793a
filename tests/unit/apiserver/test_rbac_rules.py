"""Rules against requests, one row each: upstream's wildcards, subresources, names and paths."""

from typing import Any

import pytest

from apiserver.auth.identity import Action
from apiserver.auth.rbac.rules import Rule, compact, describe, missing, parse
from apiserver.registry.policy import completed

CORE = {"apiGroups": [""]}
GET_PODS = Action("get", "", "pods", name="web")
GET_LOG = Action("get", "", "pods", "log", name="web")
LIST_PODS = Action("list", "", "pods")
SCALE = Action("update", "apps", "deployments", "scale", name="web")


@pytest.mark.parametrize(
    ("rule", "action", "allowed"),
    [
        ({"verbs": ["get"], **CORE, "resources": ["pods"]}, GET_PODS, True),
        ({"verbs": ["*"], **CORE, "resources": ["pods"]}, GET_PODS, True),
        ({"verbs": ["list"], **CORE, "resources": ["pods"]}, GET_PODS, False),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["pods"]}, GET_PODS, False),
        ({"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods"]}, GET_PODS, True),
        ({"verbs": ["get"], **CORE, "resources": ["pods"]}, GET_LOG, False),
        ({"verbs": ["get"], **CORE, "resources": ["pods/log"]}, GET_LOG, True),
        ({"verbs": ["get"], **CORE, "resources": ["pods/*"]}, GET_LOG, False),
        ({"verbs": ["get"], **CORE, "resources": ["*/log"]}, GET_LOG, True),
        ({"verbs": ["get"], **CORE, "resources": ["*"]}, GET_LOG, True),
        ({"verbs": ["get"], **CORE, "resources": ["pods/log"]}, GET_PODS, False),
        ({"verbs": ["update"], "apiGroups": ["*"], "resources": ["*/scale"]}, SCALE, True),
        ({"verbs": ["get"], **CORE, "resources": ["pods"], "resourceNames": ["web"]}, GET_PODS, True),
        ({"verbs": ["get"], **CORE, "resources": ["pods"], "resourceNames": ["db"]}, GET_PODS, False),
        (
            {"verbs": ["list"], **CORE, "resources": ["pods"], "resourceNames": ["web"]},
            Action("list", "", "pods"),
            False,
        ),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}, Action("get", path="/metrics"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}, Action("get", path="/metrics/slis"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics*"]}, Action("get", path="/metrics/slis"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, Action("get", path="/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, GET_PODS, False),
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, Action("get", path="/x"), False),
    ],
)
def test_what_a_rule_allows(rule: Any, action: Action, allowed: bool) -> None:  # noqa: FBT001  a parameter of the table
    """A rule allows a request if its verb, group, resource and name all match, or verb and path."""
    assert Rule.parse(rule).allows(action) is allowed


@pytest.mark.parametrize(
    ("held", "wanted", "lacking"),
    [
        (["pods"], ["pods"], []),
        (["*"], ["pods/exec"], []),
        (["*/scale"], ["deployments/scale"], []),
        (["deployments/scale"], ["*/scale"], ["*/scale"]),
        (["pods"], ["*"], ["*"]),
        (["pods"], ["pods/log", "pods"], ["pods/log"]),
    ],
)
def test_what_is_missing(held: list[str], wanted: list[str], lacking: list[str]) -> None:
    """A star covers everything and is covered by a star alone."""
    have, want = (parse([{"verbs": ["get"], "apiGroups": [""], "resources": names}]) for names in (held, wanted))
    assert [next(iter(rule.resources)) for rule in missing(have, want)] == lacking


def test_rules_are_described_as_upstream_does() -> None:
    """Parts of one thing are joined, lists quoted and sorted."""
    want = parse([{"verbs": ["watch", "get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"]}])
    (rule,) = compact(missing((), want))
    assert describe(rule) == '{APIGroups:[""], Resources:["pods"], ResourceNames:["web"], Verbs:["get" "watch"]}'


def test_bootstrap_roles_are_completed_and_not_reset() -> None:
    """What a role lacks is added, what somebody added stays, and a role that says so is left alone."""
    pods, nodes = ({"verbs": ["get"], "apiGroups": [""], "resources": [name]} for name in ("pods", "nodes"))
    auto = "rbac.authorization.kubernetes.io/autoupdate"
    wanted = {"metadata": {"name": "r", "labels": {"a": "b"}, "annotations": {auto: "true"}}, "rules": [pods]}
    stored = {"metadata": {"name": "r", "labels": {"mine": "x"}}, "rules": [nodes]}
    done = completed(stored, wanted)
    assert done["rules"] == [nodes, pods]
    assert done["metadata"]["labels"] == {"mine": "x", "a": "b"}
    assert completed(done, wanted) == done
    frozen = {"metadata": {"name": "r", "annotations": {auto: "false"}}, "rules": []}
    assert completed(frozen, wanted) == frozen
