"""A request goes to the backend that the Ingress API says."""

from collections.abc import Sequence
from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER
from miniplane.dataplane.http_routes import Routes
from miniplane.dataplane.ingress_routes import build


def ingress_class(name: str, controller: str = INGRESS_CONTROLLER, *, default: bool = False) -> Object:
    """An IngressClass."""
    annotations = {DEFAULT_INGRESS_CLASS: "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}}


def backend(service: str) -> dict[str, Any]:
    """The backend of a Service's port 80."""
    return {"service": {"name": service, "port": {"number": 80}}}


def ingress(name: str, *paths: tuple[str, str, str, str], created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Object:
    """An Ingress in `default`; `paths` are (host, path, pathType, Service)."""
    rules = [
        {"host": host, "http": {"paths": [{"path": path, "pathType": kind, "backend": backend(service)}]}}
        for host, path, kind, service in paths
    ]
    meta = {"name": name, "namespace": "default", "creationTimestamp": created}
    return {"metadata": meta, "spec": {"ingressClassName": "ours", "rules": rules, **spec}}


def slices(key: Key) -> list[Object]:
    """Every Service but `empty` has a ready endpoint and one that is not."""
    if key.name == "empty":
        return []
    endpoints = [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}]
    return [{"ports": [{"name": "http", "port": 8080}, {"name": "other", "port": 9}], "endpoints": endpoints}]


def service(key: Key) -> Object | None:
    """Every Service but `missing` is there."""
    ports = [{"name": "http", "port": 80}, {"name": "other", "port": 81}]
    return None if key.name == "missing" else {"metadata": {"name": key.name}, "spec": {"ports": ports}}


def routes(*ingresses: Object, classes: Sequence[Object] | None = None) -> Routes:
    """The routes of Ingresses, with one class that is ours."""
    return build(ingresses, [ingress_class("ours")] if classes is None else classes, service, slices)


def found(made: Routes, host: str, path: str) -> str | None:
    """The Service that a request goes to."""
    route = made.find(host, path)
    return None if route is None else route.target.service.name


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        (("/foo", "Exact"), "/foo", True),
        (("/foo", "Exact"), "/foo/", False),
        (("/foo/", "Exact"), "/foo", False),
        (("/foo", "Exact"), "/FOO", False),
        (("/foo", "Exact"), "/bar", False),
        (("/", "Prefix"), "/", True),
        (("/", "Prefix"), "/anything/at/all", True),
        (("/foo", "Prefix"), "/foo", True),
        (("/foo", "Prefix"), "/foo/", True),
        (("/foo/", "Prefix"), "/foo", True),
        (("/foo/", "Prefix"), "/foo/bar", True),
        (("/aaa/bb", "Prefix"), "/aaa/bbb", False),
        (("/aaa/bbb", "Prefix"), "/aaa/bbb/ccc", True),
        (("/aaa/bbb", "Prefix"), "/aaa/bbbxyz", False),
        (("/aaa", "Prefix"), "/ccc", False),
        (("/a", "ImplementationSpecific"), "/a/b", True),
        (("", "ImplementationSpecific"), "/a", True),
    ],
)
def test_path_types(rule: tuple[str, str], path: str, *, expected: bool) -> None:
    """Paths match as the table in the Ingress documentation says."""
    assert (found(routes(ingress("i", ("h", *rule, "s"))), "h", path) is not None) is expected


def test_longest_path_and_exact_first() -> None:
    """The longest path wins, and Exact before Prefix of the same length."""
    made = routes(
        ingress("i", ("h", "/", "Prefix", "root"), ("h", "/aaa", "Prefix", "a"), ("h", "/aaa/bbb", "Prefix", "b")),
        ingress("j", ("h", "/aaa", "Exact", "exact")),
    )
    paths = ("/aaa/bbb/ccc", "/aaa/ccc", "/ccc", "/aaa", "/aaa/")
    assert [found(made, "h", path) for path in paths] == ["b", "a", "root", "exact", "a"]


def test_hosts() -> None:
    """An exact host goes before a wildcard of exactly one label, that before none; port and case are nothing."""
    made = routes(
        ingress(
            "i",
            ("api.example.com", "/", "Prefix", "exact"),
            ("*.example.com", "/", "Prefix", "wild"),
            ("", "/any", "Prefix", "any"),
        )
    )
    hosts = ("API.example.com:8080", "x.example.com", "x.y.example.com", "example.com", "[::1]:80")
    assert [found(made, host, "/") for host in hosts] == ["exact", "wild", None, None, None]
    assert found(made, "example.com", "/any") == "any"
    assert found(made, "api.example.com", "/any") == "exact"


def test_default_backend() -> None:
    """What matches no rule goes to the default backend: no host, or a host without such a path."""
    made = routes(ingress("i", ("h", "/foo", "Prefix", "s"), defaultBackend=backend("fallback")))
    assert [found(made, *request) for request in (("h", "/foo"), ("h", "/bar"), ("x", "/"))] == [
        "s",
        "fallback",
        "fallback",
    ]


def test_classes() -> None:
    """Named classes must be ours, by field or annotation; without a name the default class must be."""
    named, other = ingress("a", ("a", "/", "Prefix", "s")), ingress("b", ("b", "/", "Prefix", "s"))
    other["spec"]["ingressClassName"] = "theirs"
    bare = ingress("c", ("c", "/", "Prefix", "s"), ingressClassName=None)
    old = ingress("d", ("d", "/", "Prefix", "s"), ingressClassName=None)
    old["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "ours"}
    everything = (named, other, bare, old)
    theirs = ingress_class("theirs", "example.com/controller", default=True)
    assert (routes(*everything, classes=[ingress_class("ours"), theirs]).hosts) == {"a", "d"}
    assert (routes(*everything, classes=[ingress_class("ours", default=True)]).hosts) == {"a", "c", "d"}
    assert (routes(*everything, classes=[]).hosts) == set()


def test_conflicts() -> None:
    """Two Ingresses that claim the same path: the older one has it, the younger is named."""
    made = routes(
        ingress("young", ("h", "/x/", "Prefix", "young"), created="2026-02-01T00:00:00Z"),
        ingress("old", ("h", "/x", "Prefix", "old")),
    )
    assert found(made, "h", "/x") == "old"
    assert [(str(problem.owner), problem.message) for problem in made.problems] == [
        ("default/young", "h/x belongs to ingress default/old")
    ]


def test_endpoints() -> None:
    """A target has the ready endpoints of the port that the backend names, by number or name."""
    by_name = ingress("i", ("h", "/", "Prefix", "s"))
    by_name["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = {"name": "other"}
    made = routes(by_name, ingress("j", ("g", "/", "Prefix", "s"), ("e", "/", "Prefix", "empty")))
    endpoints = {host: route.target.endpoints for host in "hge" if (route := made.find(host, "/")) is not None}
    assert endpoints == {"h": (("10.0.0.1", 9),), "g": (("10.0.0.1", 8080),), "e": ()}
    assert not made.problems


def test_missing_backends() -> None:
    """A Service or port that is not there is a route without endpoints, and a problem."""
    wrong = ingress("i", ("h", "/", "Prefix", "s"), ("m", "/", "Prefix", "missing"))
    wrong["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = {"number": 8}
    made = routes(wrong)
    assert {problem.message for problem in made.problems} == {
        "service default/s has no port 8",
        "service default/missing is not there",
    }
    assert found(made, "m", "/") == "missing"
