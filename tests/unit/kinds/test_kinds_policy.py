"""The kinds of policy.networking.k8s.io: limits and expressions of upstream's custom resources, in their words."""

import copy
from typing import Any

import pytest

from miniplane.api.definitions import Definitions, load
from miniplane.api.kind import Object
from miniplane.api.schema import Schema
from miniplane.kinds import CLUSTER_NETWORK_POLICY, KINDS, REGISTRY

EVERYONE: Object = {"namespaces": {}}
CLUSTER: Object = {"tier": "Admin", "priority": 10, "subject": EVERYONE}
ADMIN: Object = {"priority": 10, "subject": EVERYONE}
BASELINE: Object = {"subject": EVERYONE}
SPECS = {"cnp": CLUSTER, "anp": ADMIN, "banp": BASELINE}
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}


def judge(word: str, name: str = "default", status: Object | None = None, **spec: Any) -> list[str]:
    """The errors of a good object with some fields of its spec replaced, `field: message` each."""
    kind = REGISTRY.find(word)
    assert kind is not None
    obj: Object = {"metadata": {"name": name}, "spec": copy.deepcopy(SPECS[word] | spec)}
    kind.defaults(obj)
    if status is not None:
        obj["status"] = status
        return [f"{error.field}: {error.message}" for error in kind.strategy.validate_status(obj, obj)]
    return [f"{error.field}: {error.message}" for error in kind.strategy.validate(obj, None)]


def to(peer: Object, action: str = "Deny", **rest: Any) -> Object:
    """A rule of egress with one peer."""
    return {"egress": [{"action": action, "to": [peer], **rest}]}


@pytest.mark.parametrize(
    ("word", "spec"),
    [
        ("cnp", {}),
        ("cnp", {"tier": "Baseline", "priority": 0, "subject": {"pods": WEB}}),
        ("cnp", to({"networks": ["10.0.0.0/8", "fd00::/8"]}, protocols=[{"tcp": {"destinationPort": {"number": 80}}}])),
        ("cnp", to(EVERYONE, protocols=[{"destinationNamedPort": "http"}])),
        ("cnp", to({"domainNames": ["*.example.org"]}, "Accept")),
        ("cnp", to({"nodes": {}}, protocols=[{"sctp": {"destinationPort": {"range": {"start": 1, "end": 9}}}}])),
        ("anp", to(EVERYONE, "Allow", ports=[{"portNumber": {"port": 80}}, {"portRange": {"start": 80, "end": 90}}])),
        ("anp", {"priority": 1000, "ingress": [{"action": "Pass", "from": [EVERYONE]}] * 100}),
        ("banp", {"ingress": [{"action": "Allow", "from": [{"pods": {"namespaceSelector": {}, **WEB}}]}]}),
    ],
)
def test_good_ones(word: str, spec: Object) -> None:
    """What upstream takes is taken."""
    assert judge(word, **spec) == []


@pytest.mark.parametrize(
    ("word", "spec", "error"),
    [
        (
            "cnp",
            {"priority": 1001},
            "spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000",
        ),
        (
            "anp",
            {"priority": -1},
            "spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0",
        ),
        ("cnp", {"priority": None}, "spec.priority: Required value"),
        ("cnp", {"tier": None}, "spec.tier: Required value"),
        ("cnp", {"tier": "Mid"}, 'spec.tier: Unsupported value: "Mid": supported values: "Admin", "Baseline"'),
        (
            "cnp",
            {"subject": {}},
            "spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties",
        ),
        ("cnp", {"subject": EVERYONE | {"pods": WEB}}, "spec.subject: Too many: 2: must have at most 1 items"),
        ("anp", {"subject": {"pods": WEB}}, "spec.subject.pods.namespaceSelector: Required value"),
        (
            "cnp",
            {"ingress": [{"action": "Deny", "from": [EVERYONE]}] * 26},
            "spec.ingress: Too many: 26: must have at most 25 items",
        ),
        (
            "anp",
            {"egress": [{"action": "Deny", "to": [EVERYONE]}] * 101},
            "spec.egress: Too many: 101: must have at most 100 items",
        ),
        (
            "cnp",
            {"ingress": [{"action": "Deny", "from": []}]},
            "spec.ingress[0].from: Invalid value: 0: spec.ingress[0].from in body should have at least 1 items",
        ),
        ("cnp", {"ingress": [{"action": "Deny"}]}, "spec.ingress[0].from: Required value"),
        (
            "cnp",
            to(EVERYONE, "Allow"),
            'spec.egress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"',
        ),
        (
            "banp",
            to(EVERYONE, "Pass"),
            'spec.egress[0].action: Unsupported value: "Pass": supported values: "Allow", "Deny"',
        ),
        ("cnp", to(EVERYONE, name="x" * 101), "spec.egress[0].name: Too long: may not be more than 100 bytes"),
        (
            "cnp",
            to({"networks": ["10.0.0.0/33"]}),
            'spec.egress[0].to[0].networks[0]: Invalid value: "10.0.0.0/33": Invalid CIDR format provided',
        ),
        (
            "anp",
            to({"networks": ["::ffff:10.0.0.0/104"]}),
            (
                'spec.egress[0].to[0].networks[0]: Invalid value: "::ffff:10.0.0.0/104": CIDR must be either an IPv4 '
                "or IPv6 address. IPv4 address embedded in IPv6 addresses are not supported"
            ),
        ),
        (
            "cnp",
            to({"networks": ["10.0.0.0/8", "10.0.0.0/8"]}),
            'spec.egress[0].to[0].networks[1]: Duplicate value: "10.0.0.0/8"',
        ),
        (
            "cnp",
            to(EVERYONE, protocols=[{"tcp": {"destinationPort": {"range": {"start": 9, "end": 9}}}}]),
            (
                'spec.egress[0].protocols[0].tcp.destinationPort.range: Invalid value: "object": '
                "Start port must be less than End port"
            ),
        ),
        (
            "cnp",
            to(EVERYONE, protocols=[{"udp": {"destinationPort": {"number": 0}}}]),
            (
                "spec.egress[0].protocols[0].udp.destinationPort.number: Invalid value: 0: "
                "spec.egress[0].protocols[0].udp.destinationPort.number in body should be greater than or equal to 1"
            ),
        ),
        (
            "cnp",
            to({"nodes": {}}, protocols=[{"destinationNamedPort": "http"}]),
            (
                'spec.egress[0]: Invalid value: "object": networks/nodes/domainNames peer cannot be set with '
                "namedPorts since there are no namedPorts for networks/nodes/domainNames"
            ),
        ),
        (
            "banp",
            to({"networks": ["10.0.0.0/8"]}, ports=[{"namedPort": "http"}]),
            (
                'spec.egress[0]: Invalid value: "object": networks/nodes peer cannot be set with namedPorts '
                "since there are no namedPorts for networks/nodes"
            ),
        ),
        (
            "cnp",
            {"subject": {"namespaces": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}},
            (
                'spec.subject.namespaces.matchExpressions[0].operator: Invalid value: "Like": '
                "not a valid selector operator"
            ),
        ),
    ],
)
def test_bad_ones(word: str, spec: Object, error: str) -> None:
    """A broken rule is one error, at its field and in the words of the custom resource."""
    assert judge(word, **spec) == [error]


def test_there_is_one_baseline() -> None:
    """A BaselineAdminNetworkPolicy is called default."""
    assert judge("banp") == []
    assert judge("banp", "other") == [
        (
            '<nil>: Invalid value: "object": Only one baseline admin network policy with metadata.name="default" '
            "can be created in the cluster"
        )
    ]
    assert judge("anp", "other") == []


def test_old_ports_are_tcp() -> None:
    """Ports of v1alpha1 get their protocol by default."""
    kind = REGISTRY.find("anp")
    assert kind is not None
    obj: Object = {"spec": to(EVERYONE, ports=[{"portNumber": {"port": 80}}, {"portRange": {"start": 1, "end": 2}}])}
    kind.defaults(obj)
    ports = obj["spec"]["egress"][0]["ports"]
    assert [port.popitem()[1]["protocol"] for port in ports] == ["TCP", "TCP"]


def test_domain_names_are_warned_of() -> None:
    """What can't be held is taken with a warning that says what becomes of it."""
    obj = {"spec": to({"domainNames": ["example.org"]}, "Accept")}
    (warning,) = CLUSTER_NETWORK_POLICY.strategy.warnings(obj, None)
    assert warning.startswith("spec.egress[0].to[0].domainNames: domain names are not resolved")


def test_conditions_are_whole() -> None:
    """A condition of the status has all fields, a known status, and a type of its own."""
    good = {
        "type": "Ready",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    assert judge("cnp", status={"conditions": [good]}) == []
    found = judge("cnp", status={"conditions": [good, good | {"status": "Maybe", "reason": None}]})
    assert found == [
        "status.conditions[1].reason: Required value",
        'status.conditions[1].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        'status.conditions[1]: Duplicate value: {"type":"Ready"}',
    ]


@pytest.fixture(scope="module", name="definitions")
def _definitions() -> Definitions:
    return load(KINDS)


def test_fields_below_are_known(definitions: Definitions) -> None:
    """Every level is described, unknown fields are found at every depth, and conditions merge by type."""
    schema = Schema(definitions)
    path = "spec.egress.protocols.tcp.destinationPort.range.end"
    assert schema.describe(CLUSTER_NETWORK_POLICY, path) == "The last port."
    obj = {"spec": to(EVERYONE | {"bogus": 1}, protocols=[{"tcp": {"port": 80}}])}
    assert list(schema.read(obj, CLUSTER_NETWORK_POLICY)) == [
        "spec.egress[0].to[0].bogus",
        "spec.egress[0].protocols[0].tcp.port",
    ]
    conditions = schema.view(CLUSTER_NETWORK_POLICY).below("status").below("conditions")
    assert (conditions.merges, conditions.merge_key) == (True, "type")
