"""From a Gateway and the HTTPRoutes attached to it to routes, and what to tell both of it. Pure.

The proxy takes the routes, the controller the conditions: they can't disagree. What is not served is refused by a
condition. Upstream: gateway.networking.k8s.io/v1 and its conformance tests.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.dataplane.gateway_filters import Unsupported, seconds, split_filters
from miniplane.dataplane.http_backends import Missing, age, resolve
from miniplane.dataplane.http_routes import Backend, Host, Listener, Match, PathType, Route, Routes, Target, Value

GROUP = "gateway.networking.k8s.io"
CONTROLLER = "miniplane.io/gateway"
"""`spec.controllerName` of the GatewayClasses that are ours."""
_PROTOCOLS = {"HTTP": False, "HTTPS": True}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition: whether, and in which words."""

    type: str
    is_true: bool
    reason: str
    message: str = ""


def yes(name: str, reason: str) -> Verdict:
    """A condition that holds."""
    return Verdict(name, is_true=True, reason=reason)


def no(name: str, reason: str, message: str) -> Verdict:
    """A condition that does not hold."""
    return Verdict(name, is_true=False, reason=reason, message=message)


@dataclass(frozen=True, slots=True)
class World:
    """What Gateways and routes refer to."""

    routes: Iterable[Object]
    grants: Iterable[Object]
    service: Callable[[Key], Object | None]
    slices: Callable[[Key], Iterable[Object]]
    namespace: Callable[[str], Object | None]
    secret: Callable[[Key], Object | None]


@dataclass(slots=True)
class ListenerState:
    """One listener: its object, what is wrong with it, and the routes on it."""

    spec: Object
    verdicts: list[Verdict] = field(default_factory=list)
    secret: Key | None = None
    kinds: bool = True
    """Whether HTTPRoutes may be attached by kind."""
    hosts: dict[str, Host] = field(default_factory=dict)
    attached: set[Key] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its name in the Gateway."""
        return str(self.spec.get("name") or "")

    @property
    def is_served(self) -> bool:
        """Whether requests are taken."""
        return all(verdict.is_true for verdict in self.verdicts if verdict.type != "Conflicted")


@dataclass(frozen=True, slots=True)
class Plan:
    """A Gateway, worked out."""

    routes: Routes
    listeners: tuple[ListenerState, ...]
    parents: Mapping[Key, tuple[tuple[Object, tuple[Verdict, ...]], ...]]
    """By route: each of its references to this Gateway, with what is to be told."""


def build(gateway: Object, world: World) -> Plan:
    """The routes and the verdicts of a Gateway of ours."""
    builder = _Builder(gateway, world)
    parents: dict[Key, tuple[tuple[Object, tuple[Verdict, ...]], ...]] = {}
    for route in sorted(world.routes, key=lambda item: (age(item), meta.key_of(item))):
        told = tuple((ref, tuple(builder.attach(route, ref))) for ref in parents_of(route, meta.key_of(gateway)))
        if told:
            parents[meta.key_of(route)] = told
    served = [state for state in builder.listeners if state.is_served]
    listeners = tuple(
        Listener(
            state.spec["port"],
            _host(state.spec),
            secure=_PROTOCOLS[state.spec["protocol"]],
            deep=True,
            hosts=state.hosts,
            name=state.name,
        )
        for state in served
    )
    certificates = {
        (state.spec["port"], _host(state.spec)): state.secret for state in served if state.secret is not None
    }
    return Plan(Routes(listeners, certificates), tuple(builder.listeners), parents)


def parents_of(route: Object, gateway: Key) -> Iterator[Object]:
    """A route's references to a Gateway."""
    for ref in (route.get("spec") or {}).get("parentRefs") or ():
        namespace = ref.get("namespace") or meta.namespace(route)
        kind = (ref.get("group", GROUP), ref.get("kind") or "Gateway")
        if kind == (GROUP, "Gateway") and (namespace, ref.get("name")) == gateway:
            yield ref


class _Builder:
    def __init__(self, gateway: Object, world: World) -> None:
        self._world = world
        self._key = meta.key_of(gateway)
        self.listeners = [ListenerState(spec) for spec in (gateway.get("spec") or {}).get("listeners") or ()]
        for state in self.listeners:
            state.verdicts = list(self._judge(state))

    # Listeners.

    def _judge(self, state: ListenerState) -> Iterator[Verdict]:
        spec = state.spec
        others = [
            item.spec for item in self.listeners if item is not state and item.spec.get("port") == spec.get("port")
        ]
        conflict = ""
        if any(other.get("protocol") != spec.get("protocol") for other in others):
            conflict = "ProtocolConflict"
        elif any(_host(other) == _host(spec) for other in others):
            conflict = "HostnameConflict"
        protocol = spec.get("protocol")
        if protocol not in _PROTOCOLS:
            yield no("Accepted", "UnsupportedProtocol", f"{protocol} is not served, only HTTP and HTTPS are")
        elif (spec.get("tls") or {}).get("mode") == "Passthrough":
            yield no("Accepted", "UnsupportedValue", "TLS ends at the Gateway: Passthrough is not served")
        elif conflict:
            yield no("Accepted", conflict, "another listener has this port")
        else:
            yield yes("Accepted", "Accepted")
        yield Verdict("Conflicted", is_true=bool(conflict), reason=conflict or "NoConflicts")
        yield self._resolved(state)

    def _resolved(self, state: ListenerState) -> Verdict:
        kinds = ((state.spec.get("allowedRoutes") or {}).get("kinds")) or ()
        known = [item for item in kinds if (item.get("group", GROUP), item.get("kind")) == (GROUP, "HTTPRoute")]
        state.kinds = state.spec.get("protocol") in _PROTOCOLS and (bool(known) or not kinds)
        if len(known) != len(kinds):
            return no("ResolvedRefs", "InvalidRouteKinds", "only HTTPRoutes are served")
        refs = (state.spec.get("tls") or {}).get("certificateRefs") or ()
        for ref in refs:
            key = Key(ref.get("namespace") or self._key.namespace, ref.get("name") or "")
            if (ref.get("group") or "", ref.get("kind") or "Secret") != ("", "Secret"):
                return no("ResolvedRefs", "InvalidCertificateRef", "only Secrets hold certificates")
            if not self._may_refer("Gateway", self._key.namespace, "Secret", key):
                message = f"no ReferenceGrant in {key.namespace} lets Gateways of {self._key.namespace} refer to it"
                return no("ResolvedRefs", "RefNotPermitted", f"secret {key}: {message}")
            secret = self._world.secret(key)
            if secret is None or secret.get("type") != "kubernetes.io/tls":
                message = f"secret {key} is not there, or is not of type kubernetes.io/tls"
                return no("ResolvedRefs", "InvalidCertificateRef", message)
            state.secret = state.secret or key
        return yes("ResolvedRefs", "ResolvedRefs")

    def _may_refer(self, kind: str, namespace: str, to: str, key: Key) -> bool:
        """Whether an object of this API may refer to a core one, in its own namespace or by a grant."""
        if key.namespace == namespace:
            return True
        wanted = {"group": GROUP, "kind": kind, "namespace": namespace}
        for grant in self._world.grants:
            spec = grant.get("spec") or {}
            if meta.namespace(grant) == key.namespace and any(
                {name: item.get(name) or "" for name in wanted} == wanted for item in spec.get("from") or ()
            ):
                for item in spec.get("to") or ():
                    if (item.get("group") or "", item.get("kind")) == ("", to) and item.get("name") in (
                        None,
                        "",
                        key.name,
                    ):
                        return True
        return False

    # Routes.

    def attach(self, route: Object, ref: Object) -> Iterator[Verdict]:
        """Attach a route by one of its references; the verdicts on it."""
        built, resolved = self._rules(route)
        yield self._accept(route, ref, built)
        yield resolved

    def _accept(self, route: Object, ref: Object, built: "list[Route] | Unsupported") -> Verdict:
        wanted = [
            state
            for state in self.listeners
            if ref.get("sectionName") in (None, "", state.name) and ref.get("port") in (None, state.spec.get("port"))
        ]
        if not wanted:
            return no("Accepted", "NoMatchingParent", "the Gateway has no such listener")
        allowed = [state for state in wanted if state.kinds and self._allows(state, route)]
        if not allowed:
            message = "no listener takes HTTPRoutes of this namespace"
            return no("Accepted", "NotAllowedByListeners", message)
        hostnames = [name.lower() for name in (route.get("spec") or {}).get("hostnames") or ()]
        hosts = [(state, intersection(_host(state.spec), hostnames)) for state in allowed]
        if not any(names for _, names in hosts):
            message = "no listener has one of these hostnames"
            return no("Accepted", "NoMatchingListenerHostname", message)
        if isinstance(built, Unsupported):
            return no("Accepted", "UnsupportedValue", str(built))
        for state, names in hosts:
            if names:
                state.attached.add(meta.key_of(route))
            for name in names:
                for item in built:
                    state.hosts.setdefault(name, Host()).add(replace(item, host=name))
        return yes("Accepted", "Accepted")

    def _allows(self, state: ListenerState, route: Object) -> bool:
        allowed = (state.spec.get("allowedRoutes") or {}).get("namespaces") or {}
        namespace = meta.namespace(route)
        match allowed.get("from") or "Same":
            case "All":
                return True
            case "Selector":
                found = self._world.namespace(namespace)
                selector = LabelSelector.from_object(allowed.get("selector"))
                return found is not None and selector.matches(meta.labels(found))
            case _:
                return namespace == self._key.namespace

    def _rules(self, route: Object) -> "tuple[list[Route] | Unsupported, Verdict]":
        """A route's rules, without hosts, and whether what they refer to is there."""
        found: list[Route] = []
        problems: list[Verdict] = []
        try:
            for number, rule in enumerate((route.get("spec") or {}).get("rules") or ()):
                found += self._rule(route, f"spec.rules[{number}]", rule, problems)
        except Unsupported as unsupported:
            return unsupported, yes("ResolvedRefs", "ResolvedRefs")
        resolved = yes("ResolvedRefs", "ResolvedRefs")
        return found, problems[0] if problems else resolved

    def _rule(self, route: Object, path: str, rule: Object, problems: list[Verdict]) -> Iterator[Route]:
        key = meta.key_of(route)
        backends = tuple(self._backend(key, item, problems) for item in rule.get("backendRefs") or ())
        filters, mirrors = split_filters(rule.get("filters") or ())
        copies = [self._backend(key, item, problems) for item in mirrors]
        filters = replace(filters, mirrors=tuple(item.target for item in copies if not item.refused))
        limits = rule.get("timeouts") or {}
        for number, item in enumerate(rule.get("matches") or [{}]):
            yield Route(
                "HTTPRoute",
                key,
                f"{path}.matches[{number}]",
                "",
                _match(item),
                backends,
                filters,
                seconds(limits.get("request")),
                seconds(limits.get("backendRequest")),
                age(route),
            )

    def _backend(self, route: Key, ref: Object, problems: list[Verdict]) -> Backend:
        weight = ref.get("weight")
        target, problem = self._target(route, ref)
        if problem is not None:
            problems.append(problem)
        filters, _ = split_filters(ref.get("filters") or (), of_backend=True)
        return Backend(
            target,
            1 if weight is None else weight,
            problem.message if problem is not None else "",
            filters.request,
            filters.response,
        )

    def _target(self, route: Key, ref: Object) -> tuple[Target, Verdict | None]:
        key = Key(ref.get("namespace") or route.namespace, ref.get("name") or "")
        target = Target(key, str(ref.get("port") or ""))
        if (ref.get("group") or "", ref.get("kind") or "Service") != ("", "Service"):
            return target, _unresolved("InvalidKind", f"{ref.get('kind')} {key} is no Service")
        if not self._may_refer("HTTPRoute", route.namespace, "Service", key):
            message = f"no ReferenceGrant in {key.namespace} lets HTTPRoutes of {route.namespace} refer to it"
            return target, _unresolved("RefNotPermitted", f"service {key}: {message}")
        try:
            return resolve(key, ref.get("port"), self._world.service, self._world.slices), None
        except Missing as missing:
            return target, _unresolved("BackendNotFound", str(missing))


def _unresolved(reason: str, message: str) -> Verdict:
    return no("ResolvedRefs", reason, message)


def _host(listener: Object) -> str:
    return str(listener.get("hostname") or "").lower()


def _match(item: Object) -> Match:
    path = item.get("path") or {}

    def values(name: str) -> tuple[Value, ...]:
        return tuple(
            Value(
                wanted["name"].lower() if name == "headers" else wanted["name"],
                wanted["value"],
                wanted.get("type") == "RegularExpression",
            )
            for wanted in item.get(name) or ()
        )

    return Match(
        path.get("value") or "/",
        PathType(path.get("type") or "PathPrefix"),
        item.get("method") or "",
        values("headers"),
        values("queryParams"),
    )


def intersection(listener: str, hostnames: list[str]) -> list[str]:
    """The hosts that a route with these hostnames has on a listener; none if they have nothing in common."""
    if not hostnames:
        return [listener]
    found: dict[str, None] = {}
    for name in hostnames:
        if not listener or name == listener or _is_within(name, listener):
            found[name] = None
        elif _is_within(listener, name):
            found[listener] = None
    return list(found)


def _is_within(name: str, pattern: str) -> bool:
    """Whether a wildcard takes a name, or all that another wildcard takes."""
    return pattern.startswith("*.") and name.removeprefix("*").endswith(pattern[1:]) and name != pattern


def is_ours(gateway_class: Object | None) -> bool:
    """Whether a GatewayClass is served by us."""
    spec: Any = (gateway_class or {}).get("spec") or {}
    return bool(spec.get("controllerName") == CONTROLLER)
