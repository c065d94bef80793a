"""From Ingresses to routes: which backend a request of a host and path goes to. Pure.

Order of choice: exact host, wildcard host (one label), no host; then the longest path, Exact before Prefix before
nothing; then a default backend. Prefixes match whole elements between slashes, a trailing slash plays no part.
ImplementationSpecific is Prefix here. Where two Ingresses claim the same, the older one has it and the other is named
as a problem. Upstream: networking.k8s.io/v1 Ingress and its conformance tests.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The way to name a class before `spec.ingressClassName`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route leads: a Service's port, and the ready endpoints behind it, maybe none."""

    service: Key
    port: str
    endpoints: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.service}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """One path of one Ingress. `host` and `path` are empty for a default backend."""

    ingress: Key
    host: str
    path: str
    exact: bool
    target: Target


@dataclass(frozen=True, slots=True)
class Problem:
    """What an Ingress asks for and does not get."""

    ingress: Key
    message: str


@dataclass(frozen=True, slots=True)
class _Host:
    """The paths of one host."""

    exact: dict[str, Route] = field(default_factory=dict)
    prefixes: dict[str, Route] = field(default_factory=dict)

    def find(self, path: str) -> Route | None:
        found = self.exact.get(path)
        prefix = _normal(path)
        while found is None:
            found = self.prefixes.get(prefix)
            if prefix == "/":
                break
            prefix = prefix.rpartition("/")[0] or "/"
        return found


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes of one proxy."""

    hosts: dict[str, _Host] = field(default_factory=dict)
    """By host in lower case: a name, `*.` and a domain, or nothing for any."""
    default: Route | None = None
    problems: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[Route]:
        """Every route, in no particular order of choice."""
        for host in self.hosts.values():
            yield from (*host.exact.values(), *host.prefixes.values())
        if self.default is not None:
            yield self.default

    def find(self, host: str, path: str) -> Route | None:
        """The route of a request: `host` as in its Host header, `path` without query."""
        name = host_name(host)
        wildcard = f"*.{name.partition('.')[2]}"
        for candidate in (name, wildcard, ""):
            if candidate in self.hosts:
                return self.hosts[candidate].find(path) or self.default
        return self.default


def host_name(host: str) -> str:
    """A Host header's name: without port, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower().rstrip(".")


def build(
    ingresses: Iterable[Object],
    classes: Iterable[Object],
    service: Callable[[Key], Object | None],
    slices: Callable[[Key], Iterable[Object]],
) -> Routes:
    """The routes of the Ingresses that are ours. `service` and `slices` look up what the backends name."""
    ours = [item for item in classes if (item.get("spec") or {}).get("controller") == INGRESS_CONTROLLER]
    names = {meta.name(item) for item in ours}
    has_default = any(meta.annotations(item).get(DEFAULT_INGRESS_CLASS) == "true" for item in ours)
    builder = _Builder(service, slices)
    for ingress in sorted(ingresses, key=_age):
        if is_ours(ingress, names, has_default=has_default):
            builder.add(ingress)
    return Routes(builder.hosts, builder.default, tuple(builder.problems))


def is_ours(ingress: Object, classes: Iterable[str], *, has_default: bool) -> bool:
    """Whether the Ingress names one of our classes, or none at all while the default class is ours."""
    named = (ingress.get("spec") or {}).get("ingressClassName") or meta.annotations(ingress).get(CLASS_ANNOTATION)
    return has_default if not named else named in set(classes)


class _Builder:
    def __init__(self, service: Callable[[Key], Object | None], slices: Callable[[Key], Iterable[Object]]) -> None:
        self.hosts: dict[str, _Host] = {}
        self.default: Route | None = None
        self.problems: list[Problem] = []
        self._service, self._slices = service, slices

    def add(self, ingress: Object) -> None:
        key, spec = meta.key_of(ingress), ingress.get("spec") or {}
        if spec.get("defaultBackend"):
            route = Route(key, "", "", exact=False, target=self._target(key, spec["defaultBackend"]))
            if self.default is None:
                self.default = route
            else:
                self._conflict(key, "the default backend", self.default)
        for rule in spec.get("rules") or ():
            host = (rule.get("host") or "").lower()
            paths = self.hosts.setdefault(host, _Host())
            for item in (rule.get("http") or {}).get("paths") or ():
                self._add_path(key, host, paths, item)

    def _add_path(self, key: Key, host: str, paths: _Host, item: dict[str, Any]) -> None:
        exact = item.get("pathType") == "Exact"
        path = item.get("path") or "/"
        path = path if exact else _normal(path)
        table = paths.exact if exact else paths.prefixes
        route = Route(key, host, path, exact=exact, target=self._target(key, item.get("backend") or {}))
        known = table.setdefault(path, route)
        if known is not route:
            self._conflict(key, f"{host or '*'}{path}", known)

    def _conflict(self, key: Key, what: str, known: Route) -> None:
        self.problems.append(Problem(key, f"{what} belongs to ingress {known.ingress}"))

    def _target(self, ingress: Key, backend: dict[str, Any]) -> Target:
        named = backend.get("service") or {}
        port = named.get("port") or {}
        key = Key(ingress.namespace, named.get("name") or "")
        target = Target(key, str(port.get("name") or port.get("number") or ""))
        found = self._service(key)
        if found is None:
            what = f"service {key} is not there" if key.name else "only backends that are services are served"
            self.problems.append(Problem(ingress, what))
            return target
        wanted = next((item for item in (found.get("spec") or {}).get("ports") or () if _is_port(item, port)), None)
        if wanted is None:
            self.problems.append(Problem(ingress, f"service {key} has no port {target.port}"))
            return target
        return Target(key, target.port, _endpoints(self._slices(key), wanted.get("name") or ""))


def _is_port(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if wanted.get("name"):
        return bool(item.get("name") == wanted["name"])
    return bool(item.get("port") == wanted.get("number") and (item.get("protocol") or "TCP") == "TCP")


def _endpoints(slices: Iterable[Object], port: str) -> tuple[tuple[str, int], ...]:
    found: dict[tuple[str, int], None] = {}
    for item in slices:
        numbers: Sequence[int] = [
            entry["port"]
            for entry in item.get("ports") or ()
            if (entry.get("name") or "") == port and entry.get("port") and (entry.get("protocol") or "TCP") == "TCP"
        ]
        for endpoint in item.get("endpoints") or () if item.get("addressType") != "FQDN" else ():
            if (endpoint.get("conditions") or {}).get("ready") is not False and endpoint.get("addresses"):
                found |= dict.fromkeys((endpoint["addresses"][0], number) for number in numbers)
    return tuple(sorted(found))


def _age(ingress: Object) -> tuple[str, Key]:
    return meta.metadata(ingress).get("creationTimestamp") or "", meta.key_of(ingress)


def _normal(path: str) -> str:
    return path.removesuffix("/") or "/"
