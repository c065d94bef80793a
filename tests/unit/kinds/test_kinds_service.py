"""Services: defaults, rules, what stays with an update, what goes with a change of type, and their columns."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from miniplane.api.table import cells
from miniplane.kinds import SERVICE

NOW = datetime(2026, 1, 2, tzinfo=UTC)
Object = dict[str, Any]


def service(**spec: Any) -> Object:
    """A defaulted and prepared Service."""
    obj = {"metadata": {"name": "api", "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}
    SERVICE.defaults(obj)
    SERVICE.strategy.prepare(obj, None)
    return obj


def errors(obj: Object, old: Object | None = None) -> list[str]:
    """The errors as `field: message`."""
    return [f"{error.field}: {error.message}" for error in SERVICE.strategy.validate(obj, old)]


def row(obj: Object) -> list[Any]:
    """Type, cluster address, external address and ports."""
    return cells(SERVICE, obj, NOW)[1:5]


def updated(old: Object, **spec: Any) -> Object:
    """What becomes of an update that puts `spec` in place of the old one."""
    new = {"metadata": copy.deepcopy(old["metadata"]), "spec": spec}
    SERVICE.defaults(new)
    SERVICE.strategy.prepare(new, old)
    return new


def test_defaults_are_upstreams() -> None:
    """A minimal Service gets upstream's defaults for its type."""
    assert service()["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
    }
    balanced = service(type="LoadBalancer", sessionAffinity="ClientIP")["spec"]
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_one_address_stands_in_both_fields() -> None:
    """`clusterIP` alone also fills `clusterIPs`; a headless Service has its family at once."""
    assert service(clusterIP="10.96.0.7")["spec"]["clusterIPs"] == ["10.96.0.7"]
    headless = service(clusterIP="None")["spec"]
    assert (headless["clusterIPs"], headless["ipFamilies"]) == (["None"], ["IPv4"])


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        (
            {"ports": [{"port": 0}]},
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
            'spec.ports[1].name: Duplicate value: "a"',
        ),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP"',
        ),
        (
            {"ports": [{"port": 80, "targetPort": "Not_A_Name"}]},
            'spec.ports[0].targetPort: Invalid value: "Not_A_Name": must contain only alpha-numeric characters',
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30080}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"clusterIP": "10.96"},
            'spec.clusterIPs[0]: Invalid value: "10.96": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
        (
            {"clusterIP": "None", "type": "NodePort"},
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        (
            {"type": "ExternalName", "externalName": "x.example", "clusterIP": "10.96.0.1"},
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and",
        ),
        (
            {"externalTrafficPolicy": "Local"},
            'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
        ),
        (
            {"type": "NodePort", "externalTrafficPolicy": "Near"},
            'spec.externalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"',
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range',
        ),
        ({"type": "Magic"}, 'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName"'),
        ({"selector": {"a b": "c"}}, 'spec.selector: Invalid value: "a b": name part must consist of'),
        ({"ipFamilies": ["IPv5"]}, 'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'),
    ],
)
def test_rules_name_the_field(spec: Object, error: str) -> None:
    """A broken rule is told with upstream's field path and words."""
    assert [text for text in errors(service(**spec)) if text.startswith(error)], errors(service(**spec))


def test_one_port_with_two_protocols() -> None:
    """A port number may serve TCP and UDP, on one node port too."""
    ports = [
        {"name": protocol.lower(), "port": 53, "protocol": protocol, "nodePort": 30053} for protocol in ("TCP", "UDP")
    ]
    assert errors(service(type="NodePort", ports=ports)) == []


ALLOCATED = {
    "type": "NodePort",
    "clusterIP": "10.96.0.7",
    "clusterIPs": ["10.96.0.7"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "ports": [{"name": "http", "port": 80, "nodePort": 30080}],
}


def test_updates_keep_what_was_allocated() -> None:
    """A client that does not know the allocated values puts a Service in place without losing them."""
    old = service(**ALLOCATED)
    new = updated(old, type="NodePort", ports=[{"name": "http", "port": 8080}])
    for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        assert new["spec"][key] == old["spec"][key]
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    assert errors(new, old) == []


def test_the_address_never_changes() -> None:
    """Another clusterIP is refused."""
    old = service(**ALLOCATED)
    new = updated(old, **{**ALLOCATED, "clusterIP": "10.96.0.8"})
    assert errors(new, old) == ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set']


def test_a_change_of_type_drops_what_it_has_no_use_for() -> None:
    """To ClusterIP the node ports and policy go; to ExternalName the address goes, too; and back it is open again."""
    old = service(**ALLOCATED)
    inner = updated(old, **{**copy.deepcopy(old["spec"]), "type": "ClusterIP"})
    assert "nodePort" not in inner["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in inner["spec"]
    assert errors(inner, old) == []
    outer = updated(old, **{**copy.deepcopy(old["spec"]), "type": "ExternalName", "externalName": "x.example"})
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(outer["spec"])
    assert errors(outer, old) == []
    back = updated(outer, ports=[{"port": 80}], clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"])
    assert errors(back, outer) == []


def test_columns() -> None:
    """Addresses and ports are shown as kubectl does."""
    assert row(service(**ALLOCATED)) == ["NodePort", "10.96.0.7", "<none>", "80:30080/TCP"]
    assert row(service(type="LoadBalancer"))[2] == "<pending>"
    balanced = service(type="LoadBalancer", externalIPs=["1.2.3.4"])
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "172.30.0.193"}]}}
    assert row(balanced)[2] == "172.30.0.193,1.2.3.4"
    assert row(service(type="ExternalName", externalName="x.example", ports=[])) == [
        *("ExternalName", "<none>", "x.example", "<none>"),
    ]
    assert row(service(clusterIP="None"))[1] == "None"
