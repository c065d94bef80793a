"""From Ingresses to routes: which backend a request of a host and path goes to. Pure.

Order of choice: exact host, wildcard host (one label), no host; then the longest path, Exact before Prefix before
nothing; then a default backend. Prefixes match whole elements between slashes, a trailing slash plays no part.
ImplementationSpecific is Prefix here. Where two Ingresses claim the same, the older one has it and the other is named
as a problem. Every host is served on port 80, and on 443 with the certificate of the Secret that names it in `tls`.
Upstream: networking.k8s.io/v1 Ingress and its conformance tests.
"""

from collections.abc import Callable, Iterable
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER
from miniplane.dataplane.http_backends import Missing, age, resolve
from miniplane.dataplane.http_routes import (
    HTTP_PORT,
    HTTPS_PORT,
    Backend,
    Host,
    Listener,
    Match,
    PathType,
    Problem,
    Route,
    Routes,
    Target,
)

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The way to name a class before `spec.ingressClassName`."""
NOT_A_SERVICE = "only backends that are services are served"


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
    for ingress in sorted(ingresses, key=lambda item: (age(item), meta.key_of(item))):
        if is_ours(ingress, names, has_default=has_default):
            builder.add(ingress)
    listeners = tuple(
        Listener(port, secure=secure, hosts=builder.hosts, default=builder.default)
        for port, secure in ((HTTP_PORT, False), (HTTPS_PORT, True))
    )
    return Routes(listeners, builder.certificates, tuple(builder.problems))


def is_ours(ingress: Object, classes: Iterable[str], *, has_default: bool) -> bool:
    """Whether the Ingress names one of our classes, or none at all while the default class is ours."""
    named = (ingress.get("spec") or {}).get("ingressClassName") or meta.annotations(ingress).get(CLASS_ANNOTATION)
    return has_default if not named else named in set(classes)


class _Builder:
    def __init__(self, service: Callable[[Key], Object | None], slices: Callable[[Key], Iterable[Object]]) -> None:
        self.hosts: dict[str, Host] = {}
        self.default: Route | None = None
        self.certificates: dict[tuple[int, str], Key] = {}
        self.problems: list[Problem] = []
        self._service, self._slices = service, slices
        self._taken: dict[tuple[str, PathType, str], Route] = {}

    def add(self, ingress: Object) -> None:
        key, spec = meta.key_of(ingress), ingress.get("spec") or {}
        if spec.get("defaultBackend"):
            route = self._route(ingress, "", "spec.defaultBackend", Match(), spec["defaultBackend"])
            if self.default is None:
                self.default = route
            else:
                self._conflict(key, "the default backend", self.default)
        for number, rule in enumerate(spec.get("rules") or ()):
            host = (rule.get("host") or "").lower()
            self.hosts.setdefault(host, Host())
            for index, item in enumerate((rule.get("http") or {}).get("paths") or ()):
                self._add_path(ingress, host, f"spec.rules[{number}].http.paths[{index}]", item)
        for tls in spec.get("tls") or ():
            self._add_certificate(key, spec, tls)

    def _add_path(self, ingress: Object, host: str, field: str, item: dict[str, Any]) -> None:
        kind = PathType.EXACT if item.get("pathType") == "Exact" else PathType.PREFIX
        path = item.get("path") or "/"
        if kind is PathType.PREFIX:
            path = path.removesuffix("/") or "/"
        route = self._route(ingress, host, field, Match(path, kind), item.get("backend") or {})
        known = self._taken.setdefault((host, kind, path), route)
        if known is route:
            self.hosts[host].add(route)
        else:
            self._conflict(route.owner, f"{host or '*'}{path}", known)

    def _add_certificate(self, key: Key, spec: dict[str, Any], tls: dict[str, Any]) -> None:
        secret = Key(key.namespace, tls.get("secretName") or "")
        if not secret.name:
            return
        hosts = tls.get("hosts") or [rule.get("host") or "" for rule in spec.get("rules") or ()]
        for host in hosts:
            known = self.certificates.setdefault((HTTPS_PORT, host.lower()), secret)
            if known != secret:
                self.problems.append(Problem(key, f"{host} has the certificate of secret {known} already"))

    def _conflict(self, key: Key, what: str, known: Route) -> None:
        self.problems.append(Problem(key, f"{what} belongs to ingress {known.owner}"))

    def _route(self, ingress: Object, host: str, field: str, match: Match, backend: dict[str, Any]) -> Route:
        key = meta.key_of(ingress)
        named = Backend(self._target(key, backend))
        return Route("Ingress", key, field, host, match, (named,), age=age(ingress))

    def _target(self, ingress: Key, backend: dict[str, Any]) -> Target:
        named = backend.get("service") or {}
        port = named.get("port") or {}
        key = Key(ingress.namespace, named.get("name") or "")
        if not key.name:
            self.problems.append(Problem(ingress, NOT_A_SERVICE))
            return Target(key, "")
        try:
            return resolve(key, port.get("name") or port.get("number"), self._service, self._slices)
        except Missing as missing:
            self.problems.append(Problem(ingress, str(missing)))
            return missing.target
