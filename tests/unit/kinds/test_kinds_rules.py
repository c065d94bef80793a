"""The rules of the smaller kinds: upstream's field paths and words."""

import copy
from typing import Any

import pytest

from miniplane.kinds import REGISTRY

Object = dict[str, Any]
POD = {"containers": [{"name": "web", "image": "nginx"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
WORKLOAD = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
BACKEND = {"service": {"name": "api", "port": {"number": 80}}}


def errors(word: str, body: Object, old: Object | None = None) -> list[str]:
    """The errors of a defaulted object as `field: message`."""
    kind = REGISTRY.find(word)
    assert kind is not None
    obj, before = (
        {"metadata": {"name": "x", "namespace": "default"}, **copy.deepcopy(part)} if part is not None else None
        for part in (body, old)
    )
    assert obj is not None
    for item in (obj, before):
        if item is not None:
            kind.defaults(item)
    kind.strategy.prepare(obj, before)
    return [f"{error.field}: {error.message}" for error in kind.strategy.validate(obj, before)]


def policy(**peer: Any) -> Object:
    """A NetworkPolicy with one peer."""
    return {"spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}}


def port(**fields: Any) -> Object:
    """A NetworkPolicy with one port."""
    return {"spec": {"podSelector": {}, "ingress": [{"ports": [fields]}]}}


def path(**fields: Any) -> Object:
    """An Ingress with one path."""
    return {"spec": {"rules": [{"http": {"paths": [{"backend": BACKEND, **fields}]}}]}}


@pytest.mark.parametrize(
    ("word", "body", "error"),
    [
        ("netpol", policy(), "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            "netpol",
            policy(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}),
            'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of',
        ),
        (
            "netpol",
            policy(ipBlock={"cidr": "10.0.0.0/8"}, podSelector={}),
            "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            "netpol",
            port(port=80, endPort=79),
            "spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`",
        ),
        (
            "netpol",
            port(port="http", endPort=79),
            "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric",
        ),
        ("ing", {"spec": {}}, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        (
            "ing",
            path(path="/"),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            "ing",
            path(path="x", pathType="Prefix"),
            'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
        ),
        (
            "ing",
            {"spec": {"rules": [{"host": "1.2.3.4"}]}},
            'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        ),
        (
            "ing",
            {"spec": {"defaultBackend": {**BACKEND, "resource": {"kind": "a", "name": "b"}}}},
            'spec.defaultBackend: Invalid value: "": cannot set both resource and service backends',
        ),
        ("deploy", {"spec": {"template": TEMPLATE}}, "spec.selector: Required value"),
        (
            "deploy",
            {"spec": {**WORKLOAD, "selector": {"matchLabels": {"app": "db"}}}},
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
        (
            "deploy",
            {"spec": {**WORKLOAD, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        ("rs", {"spec": {**WORKLOAD, "replicas": -1}}, "spec.replicas: Invalid value: -1: must be greater than or"),
        (
            "endpointslices",
            {"addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}]},
            'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address',
        ),
        (
            "endpointslices",
            {"addressType": "IPv4", "endpoints": [{"addresses": []}]},
            "endpoints[0].addresses: Required value: must contain at least 1 address",
        ),
        ("ep", {"subsets": [{}]}, "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
        ("ip", {"spec": {}}, "spec.parentRef: Required value"),
        ("servicecidr", {"spec": {"cidrs": []}}, "spec.cidrs: Required value: at least one CIDR required"),
        (
            "servicecidr",
            {"spec": {"cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}},
            'spec.cidrs: Invalid value: ["10.0.0.0/16","10.1.0.0/16"]: may specify no more than one IP for each',
        ),
        ("no", {"spec": {"podCIDRs": ["10.0.0.0/8", "10.1.0.0/16"]}}, "spec.podCIDRs: Invalid value: "),
        ("cm", {"data": {"a b": "c"}}, 'data[a b]: Invalid value: "a b": a valid config key must consist of'),
        ("secrets", {"type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
        ("ingressclasses", {"spec": {"controller": "x"}}, 'spec.controller: Invalid value: "x": must be a domain-'),
    ],
)
def test_rules_name_the_field(word: str, body: Object, error: str) -> None:
    """A broken rule is told with upstream's field path and words."""
    assert [text for text in errors(word, body) if text.startswith(error)], errors(word, body)


@pytest.mark.parametrize(
    ("word", "old", "new", "error"),
    [
        (
            "deploy",
            {"spec": WORKLOAD},
            {"spec": {**WORKLOAD, "selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}},
            "spec.selector: Invalid value: ",
        ),
        ("no", {"spec": {"podCIDR": "10.0.0.0/24"}}, {"spec": {"podCIDR": "10.0.1.0/24"}}, "spec.podCIDRs: Forbidden"),
        ("cm", {"data": {"a": "b"}, "immutable": True}, {"data": {"a": "c"}, "immutable": True}, "data: Forbidden"),
        ("cm", {"immutable": True}, {}, "immutable: Forbidden: field is immutable when `immutable` is set"),
        ("secrets", {"type": "a"}, {"type": "b"}, 'type: Invalid value: "b": field is immutable'),
        (
            "servicecidr",
            {"spec": {"cidrs": ["10.0.0.0/16"]}},
            {"spec": {"cidrs": ["10.1.0.0/16"]}},
            'spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable',
        ),
    ],
)
def test_what_never_changes(word: str, old: Object, new: Object, error: str) -> None:
    """A change of an immutable field is refused, the same object is not."""
    (found,) = errors(word, new, old)
    assert found.startswith(error)
    assert errors(word, old, old) == []


def test_policy_types_follow_the_rules() -> None:
    """Types are Ingress by default, and Egress where there is an egress rule."""
    kind = REGISTRY.find("netpol")
    assert kind is not None
    cases: list[tuple[Object, list[str]]] = [({}, ["Ingress"]), ({"egress": [{}]}, ["Ingress", "Egress"])]
    for spec, types in cases:
        obj: Object = {"spec": spec}
        kind.defaults(obj)
        assert obj["spec"]["policyTypes"] == types


def test_secret_text_becomes_data() -> None:
    """`stringData` is written into `data` as base64 and is not kept."""
    kind = REGISTRY.find("secrets")
    assert kind is not None
    obj: Object = {"stringData": {"a": "b"}}
    kind.defaults(obj)
    assert obj == {"type": "Opaque", "data": {"a": "Yg=="}}


def test_new_namespaces_wait_for_their_controller() -> None:
    """A namespace is labelled with its name and holds the finalizer of the namespace controller."""
    kind = REGISTRY.find("ns")
    assert kind is not None
    obj: Object = {"metadata": {"name": "shop"}}
    kind.defaults(obj)
    kind.strategy.prepare(obj, None)
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
