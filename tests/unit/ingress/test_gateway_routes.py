"""A Gateway takes the HTTPRoutes that the Gateway API says, and both are told why not."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.gateway_routes import Plan, World, build, intersection

CERT: Object = {"type": "kubernetes.io/tls"}


def gateway(*listeners: Object, namespace: str = "infra") -> Object:
    """A Gateway `edge`."""
    return {"metadata": {"name": "edge", "namespace": namespace}, "spec": {"listeners": list(listeners)}}


def listener(name: str = "http", port: int = 80, protocol: str = "HTTP", **more: Any) -> Object:
    """A listener for routes of all namespaces."""
    return {"name": name, "port": port, "protocol": protocol, "allowedRoutes": {"namespaces": {"from": "All"}}, **more}


def route(name: str = "r", namespace: str = "shop", *rules: Object, **spec: Any) -> Object:
    """A route to Service `web`, attached to `infra/edge`."""
    made = list(rules) or [{"backendRefs": [{"name": "web", "port": 80}]}]
    spec = {"parentRefs": [{"name": "edge", "namespace": "infra"}], "rules": made, **spec}
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": ""}, "spec": spec}


def grant(namespace: str, kind: str, of: str, to: str, **name: str) -> Object:
    """A ReferenceGrant."""
    source = {"group": "gateway.networking.k8s.io", "kind": kind, "namespace": of}
    spec = {"from": [source], "to": [{"group": "", "kind": to, **name}]}
    return {"metadata": {"name": "g", "namespace": namespace}, "spec": spec}


def plan(edge: Object, *routes: Object, grants: tuple[Object, ...] = (), secrets: tuple[Key, ...] = ()) -> Plan:
    """The plan, in a world where every Service but `gone` is there and has one endpoint."""
    service = {"spec": {"ports": [{"port": 80}]}}
    slices = [{"ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.0.0.1"]}]}]
    return build(
        edge,
        World(
            routes=routes,
            grants=grants,
            service=lambda key: None if key.name == "gone" else service,
            slices=lambda _: slices,
            namespace=lambda name: {"metadata": {"name": name, "labels": {"team": name}}},
            secret=lambda key: CERT if key in secrets else None,
        ),
    )


def told(made: Plan, name: str = "r", namespace: str = "shop") -> list[str]:
    """The reasons told to a route by its first reference."""
    return [verdict.reason for verdict in made.parents[Key(namespace, name)][0][1]]


def listener_told(made: Plan, number: int = 0) -> dict[str, str]:
    """The reasons of a listener's conditions."""
    return {verdict.type: verdict.reason for verdict in made.listeners[number].verdicts}


def test_a_route_is_attached() -> None:
    """A route without hostnames takes every host of its listener; the listener counts it."""
    made = plan(gateway(listener()), route())
    assert told(made) == ["Accepted", "ResolvedRefs"]
    found = made.routes.find("any.example", "/x")
    assert found is not None
    assert (str(found), found.field, found.target.endpoints) == (
        "HTTPRoute shop/r",
        "spec.rules[0].matches[0]",
        (("10.0.0.1", 8080),),
    )
    assert made.listeners[0].attached == {Key("shop", "r")}


@pytest.mark.parametrize(
    ("own", "names", "expected"),
    [
        ("", [], [""]),
        ("", ["a.b"], ["a.b"]),
        ("a.b", [], ["a.b"]),
        ("*.b.c", ["x.b.c", "x.y.b.c", "b.c"], ["x.b.c", "x.y.b.c"]),
        ("x.b.c", ["*.b.c", "*.c", "*.d"], ["x.b.c"]),
        ("*.c", ["*.b.c"], ["*.b.c"]),
        ("*.b.c", ["*.c"], ["*.b.c"]),
        ("a.b", ["c.d"], []),
    ],
)
def test_hostnames_intersect(own: str, names: list[str], expected: list[str]) -> None:
    """The more specific of two matching names is the route's."""
    assert intersection(own, names) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"parentRefs": [{"name": "edge", "namespace": "infra", "sectionName": "other"}]}, "NoMatchingParent"),
        ({"parentRefs": [{"name": "edge", "namespace": "infra", "port": 81}]}, "NoMatchingParent"),
        ({"hostnames": ["other.example"]}, "NoMatchingListenerHostname"),
        ({"rules": [{"filters": [{"type": "ExtensionRef"}]}]}, "UnsupportedValue"),
    ],
)
def test_routes_that_are_not_accepted(change: dict[str, Any], reason: str) -> None:
    """A reference to what the Gateway does not have is told and serves nothing."""
    made = plan(gateway(listener(hostname="own.example")), route(**change))
    assert told(made)[0] == reason
    assert made.routes.find("own.example", "/") is None
    assert not made.listeners[0].attached


def test_namespaces_that_may_attach() -> None:
    """Same, All and Selector decide by the route's namespace; kinds must include HTTPRoute."""

    def reason(**allowed: Any) -> str:
        return told(plan(gateway({**listener(), "allowedRoutes": allowed}), route()))[0]

    assert reason() == "NotAllowedByListeners"
    assert reason(namespaces={"from": "All"}) == "Accepted"
    assert reason(namespaces={"from": "Selector", "selector": {"matchLabels": {"team": "shop"}}}) == "Accepted"
    assert (
        reason(namespaces={"from": "Selector", "selector": {"matchLabels": {"team": "x"}}}) == "NotAllowedByListeners"
    )
    assert reason(namespaces={"from": "All"}, kinds=[{"kind": "TLSRoute"}]) == "NotAllowedByListeners"


def test_listeners_are_isolated() -> None:
    """A request belongs to the most specific listener alone, also where its routes do not match."""
    edge = gateway(listener("any"), listener("wild", hostname="*.example"), listener("one", hostname="a.example"))
    refs = [{"name": "edge", "namespace": "infra", "sectionName": name} for name in ("any", "wild")]
    made = plan(edge, route("all", parentRefs=refs[:1]), route("wild", parentRefs=refs[1:]))
    owners = {host: made.routes.find(host, "/") for host in ("x", "b.example", "b.c.example", "a.example")}
    assert {host: found and found.owner.name for host, found in owners.items()} == {
        "x": "all",
        "b.example": "wild",
        "b.c.example": "wild",
        "a.example": None,
    }


def test_conflicts_and_what_is_not_served() -> None:
    """Listeners of one port and host, or of one port and two protocols, conflict; other protocols are refused."""
    made = plan(
        gateway(listener("a"), listener("b"), listener("c", 443, "HTTPS"), listener("d", 443), listener("e", 9, "TCP"))
    )
    reasons = [
        (listener_told(made, number)["Accepted"], listener_told(made, number)["Conflicted"]) for number in range(5)
    ]
    assert reasons == [
        ("HostnameConflict", "HostnameConflict"),
        ("HostnameConflict", "HostnameConflict"),
        ("ProtocolConflict", "ProtocolConflict"),
        ("ProtocolConflict", "ProtocolConflict"),
        ("UnsupportedProtocol", "NoConflicts"),
    ]
    assert made.routes.listeners == ()


def test_certificates() -> None:
    """A listener's certificate must be there, of the right type, and permitted where it is elsewhere."""

    def reason(ref: Object, *grants: Object) -> str:
        edge = gateway(listener("s", 443, "HTTPS", tls={"certificateRefs": [ref]}))
        made = plan(edge, grants=grants, secrets=(Key("infra", "tls"), Key("certs", "tls")))
        assert bool(made.routes.certificates) == made.listeners[0].is_served
        return listener_told(made)["ResolvedRefs"]

    far = {"name": "tls", "namespace": "certs"}
    assert reason({"name": "tls"}) == "ResolvedRefs"
    assert reason({"name": "other"}) == "InvalidCertificateRef"
    assert reason({"name": "tls", "kind": "ConfigMap"}) == "InvalidCertificateRef"
    assert reason(far) == "RefNotPermitted"
    assert reason(far, grant("certs", "Gateway", "infra", "Secret")) == "ResolvedRefs"
    assert reason(far, grant("certs", "Gateway", "infra", "Secret", name="x")) == "RefNotPermitted"
    assert reason(far, grant("certs", "Gateway", "shop", "Secret")) == "RefNotPermitted"
    assert reason(far, grant("infra", "Gateway", "infra", "Secret")) == "RefNotPermitted"


def test_backends() -> None:
    """A backend that is missing, of another kind or not permitted is told, and answers 500 for its share."""

    def reason(ref: Object, *grants: Object) -> str:
        made = plan(gateway(listener()), route("r", "shop", {"backendRefs": [{"port": 80, **ref}]}), grants=grants)
        found = made.routes.find("x", "/")
        assert found is not None
        accepted, resolved = told(made)
        assert accepted == "Accepted"
        assert bool(found.backends[0].refused) == (resolved != "ResolvedRefs")
        return resolved

    far = {"name": "web", "namespace": "data"}
    assert reason({"name": "gone"}) == "BackendNotFound"
    assert reason({"name": "web", "port": 81}) == "BackendNotFound"
    assert reason({"name": "web", "kind": "Bucket", "group": "x"}) == "InvalidKind"
    assert reason(far) == "RefNotPermitted"
    assert reason(far, grant("data", "HTTPRoute", "shop", "Service", name="web")) == "ResolvedRefs"
    assert reason(far, grant("data", "HTTPRoute", "infra", "Service")) == "RefNotPermitted"


def test_what_rules_say() -> None:
    """Matches, filters, weights and time limits of a rule are the route's."""
    change = {"type": "ReplaceFullPath", "replaceFullPath": "/y"}
    rule = {
        "matches": [
            {
                "path": {"type": "Exact", "value": "/x"},
                "method": "GET",
                "headers": [{"name": "X-A", "value": "1"}],
                "queryParams": [{"name": "Q", "value": "a.*", "type": "RegularExpression"}],
            }
        ],
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["c"]}},
            {
                "type": "URLRewrite",
                "urlRewrite": {"hostname": "h", "path": change},
            },
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 80}}},
        ],
        "backendRefs": [{"name": "web", "port": 80, "weight": 0}, {"name": "two", "port": 80}],
        "timeouts": {"request": "1m2s", "backendRequest": "500ms"},
    }
    made = plan(gateway(listener()), route("r", "shop", rule))
    found = made.routes.find("x", "/x", headers={"x-a": "1"}, query={"Q": "abc"})
    assert found is not None
    assert made.routes.find("x", "/x", headers={"x-a": "1"}, query={"Q": "bc"}) is None
    assert made.routes.find("x", "/x", method="POST", headers={"x-a": "1"}, query={"Q": "a"}) is None
    assert [item.weight for item in found.backends] == [0, 1]
    assert (found.timeout_s, found.attempt_s) == (62, 0.5)
    assert (found.filters.request.set, found.filters.response.remove) == ((("a", "b"),), ("c",))
    assert found.filters.path is not None
    assert (found.filters.host, found.filters.path.value) == ("h", "/y")
    assert [str(target) for target in found.filters.mirrors] == ["shop/copy:80"]
