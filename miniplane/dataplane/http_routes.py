"""Which backend an HTTP request goes to, and what is changed on the way: one model for Ingresses and HTTPRoutes. Pure.

A listener is chosen by port and the most specific host; in it the most specific host of its routes; there the first
route that matches: exact path, then regular expression, then the longest prefix of whole elements between slashes;
among those of one path the one with a method, then with most headers, most query parameters, the oldest, by name. A
host that has routes, none of which matches, does not fall back to a less specific one, only to the default backend.
`ordered` gives the same as a list where the first match decides, for proxies that are configured so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import re2

from miniplane.api.meta import Key

HTTP_PORT, HTTPS_PORT = 80, 443
_NOTHING: Mapping[str, str] = {}


class PathType(StrEnum):
    """How a path is compared."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"
    REGEX = "RegularExpression"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route leads: a Service's port, and the ready endpoints behind it, maybe none."""

    service: Key
    port: str
    endpoints: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.service}:{self.port}"


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """What is set, added and removed, in this order."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathChange:
    """Another path: a whole one, or (`prefix`) one for the part that the route matched."""

    value: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the client elsewhere; what is empty stays as it was asked."""

    scheme: str = ""
    host: str = ""
    path: PathChange | None = None
    port: int = 0
    status: int = 302


@dataclass(frozen=True, slots=True)
class Filters:
    """What a route does beside choosing a backend."""

    request: HeaderChange = HeaderChange()
    response: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    host: str = ""
    """Another Host header."""
    path: PathChange | None = None
    mirrors: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Backend:
    """One of a route's backends, with its share; a `refused` one answers 500."""

    target: Target
    weight: int = 1
    refused: str = ""
    """Why it can't be used: not there, or not permitted."""
    request: HeaderChange = HeaderChange()
    response: HeaderChange = HeaderChange()


@dataclass(frozen=True, slots=True)
class Value:
    """A header or query parameter that a request must have."""

    name: str
    value: str
    regex: bool = False

    def matches(self, text: str | None) -> bool:
        """Whether this is the value wanted."""
        if text is None:
            return False
        return re2.fullmatch(self.value, text) is not None if self.regex else text == self.value


@dataclass(frozen=True, slots=True)
class Match:
    """What a request must be like."""

    path: str = "/"
    kind: PathType = PathType.PREFIX
    method: str = ""
    headers: tuple[Value, ...] = ()
    """Names in lower case."""
    query: tuple[Value, ...] = ()

    @property
    def rank(self) -> tuple[int, int, int]:
        """The order among matches of one path: the smallest goes first."""
        return (0 if self.method else 1, -len(self.headers), -len(self.query))

    def takes_path(self, path: str) -> bool:
        """Whether the path fits."""
        match self.kind:
            case PathType.EXACT:
                return path == self.path
            case PathType.REGEX:
                return re2.fullmatch(self.path, path) is not None
            case PathType.PREFIX:
                prefix = self.path.rstrip("/")
                return path == prefix or path.startswith(f"{prefix}/")

    def takes_rest(self, method: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether everything but the path fits."""
        return (
            (not self.method or self.method == method)
            and all(item.matches(headers.get(item.name)) for item in self.headers)
            and all(item.matches(query.get(item.name)) for item in self.query)
        )


@dataclass(frozen=True, slots=True)
class Route:
    """One match of one object on one host. The host is empty for any, `*.` and a domain for a wildcard."""

    kind: str
    owner: Key
    field: str
    """Where in the object it stands, as `spec.rules[0].http.paths[1]`."""
    host: str
    match: Match
    backends: tuple[Backend, ...] = ()
    filters: Filters = Filters()
    timeout_s: float = 0.0
    """For the whole request; 0: none."""
    attempt_s: float = 0.0
    """For one backend's answer; 0: as long as the proxy waits anyway."""
    age: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.owner}"

    @property
    def path(self) -> str:
        """The path of the match."""
        return self.match.path

    @property
    def target(self) -> Target:
        """The first backend's."""
        return self.backends[0].target if self.backends else Target(self.owner, "")

    @property
    def order(self) -> tuple[object, ...]:
        """The place among routes of one host and path."""
        return (*self.match.rank, self.age, self.owner, self.field)


@dataclass(slots=True)
class Host:
    """The routes of one host; `add` in any order, then `find`."""

    exact: dict[str, list[Route]] = field(default_factory=dict)
    prefixes: dict[str, list[Route]] = field(default_factory=dict)
    regexes: list[Route] = field(default_factory=list)

    def add(self, route: Route) -> None:
        """Take a route in."""
        if route.match.kind is PathType.REGEX:
            routes = self.regexes
        elif route.match.kind is PathType.EXACT:
            routes = self.exact.setdefault(route.path, [])
        else:
            routes = self.prefixes.setdefault(route.path.rstrip("/") or "/", [])
        routes.append(route)
        routes.sort(key=lambda item: item.order)

    def __iter__(self) -> Iterator[Route]:
        """The routes so that the first that matches is the one to take."""
        for routes in self.exact.values():
            yield from routes
        yield from self.regexes
        for _, routes in sorted(self.prefixes.items(), key=lambda item: -len(item[0].rstrip("/"))):
            yield from routes

    def find(self, path: str, method: str, headers: Mapping[str, str], query: Mapping[str, str]) -> Route | None:
        """The route of a request to this host."""
        for route in self._candidates(path):
            if route.match.takes_rest(method, headers, query):
                return route
        return None

    def _candidates(self, path: str) -> Iterator[Route]:
        yield from self.exact.get(path, ())
        yield from (route for route in self.regexes if route.match.takes_path(path))
        prefix = path
        while True:
            yield from self.prefixes.get(prefix.rstrip("/") or "/", ())
            if prefix in ("", "/"):
                return
            prefix = prefix.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Listener:
    """Where requests come in: a port, for a host (as a route's) or any."""

    port: int = HTTP_PORT
    host: str = ""
    secure: bool = False
    deep: bool = False
    """Whether a wildcard stands for several labels (Gateway API) or for exactly one (Ingress)."""
    hosts: dict[str, Host] = field(default_factory=dict)
    default: Route | None = None
    name: str = ""

    def find(
        self,
        host: str,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] = _NOTHING,
        query: Mapping[str, str] = _NOTHING,
    ) -> Route | None:
        """The route of a request whose host is that name."""
        for pattern in patterns(host, deep=self.deep):
            if pattern in self.hosts:
                return self.hosts[pattern].find(path, method, headers, query) or self.default
        return self.default


@dataclass(frozen=True, slots=True)
class Problem:
    """What an object asks for and does not get."""

    owner: Key
    message: str
    kind: str = "Ingress"


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes of one proxy."""

    listeners: tuple[Listener, ...] = ()
    certificates: Mapping[tuple[int, str], Key] = field(default_factory=dict)
    """The Secret for a port and a host pattern; the empty pattern is for every other host."""
    problems: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[Route]:
        """Every route once, in no particular order of choice."""
        seen: set[tuple[str, Key, str, str]] = set()
        for listener in self.listeners:
            for route in (*(item for host in listener.hosts.values() for item in host), listener.default):
                if route is not None and (name := (route.kind, route.owner, route.field, route.host)) not in seen:
                    seen.add(name)
                    yield route

    @property
    def hosts(self) -> set[str]:
        """The hosts that some route names."""
        return {host for listener in self.listeners for host in listener.hosts}

    def listener(self, port: int, host: str) -> Listener | None:
        """The listener for a host on a port: the most specific one."""
        on_port = {item.host: item for item in self.listeners if item.port == port}
        return next((on_port[pattern] for pattern in patterns(host, deep=True) if pattern in on_port), None)

    def find(
        self,
        host: str,
        path: str,
        *,
        port: int = HTTP_PORT,
        method: str = "GET",
        headers: Mapping[str, str] = _NOTHING,
        query: Mapping[str, str] = _NOTHING,
    ) -> Route | None:
        """The route of a request: `host` as in its Host header, `path` without query, header names in lower case."""
        name = host_name(host)
        listener = self.listener(port, name)
        return None if listener is None else listener.find(name, path, method, headers, query)

    def certificate(self, port: int, server_name: str) -> Key | None:
        """The Secret whose certificate a client that names this server gets."""
        names = patterns(host_name(server_name), deep=True)
        return next((self.certificates[port, name] for name in names if (port, name) in self.certificates), None)


def patterns(host: str, *, deep: bool) -> Iterator[str]:
    """The host patterns that take a name, the most specific first."""
    yield host
    rest = host.partition(".")[2]
    while rest:
        yield f"*.{rest}"
        rest = rest.partition(".")[2] if deep else ""
    yield ""


def host_name(host: str) -> str:
    """A Host header's name: without port, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower().rstrip(".")


def ordered(listeners: Iterable[Listener]) -> list[tuple[Listener, str, Sequence[Route]]]:
    """Listeners and their hosts, the most specific first, each with its routes in the order of choice."""
    return [
        (listener, host, tuple(listener.hosts[host]))
        for listener in sorted(listeners, key=lambda item: (item.port, *specificity(item.host)))
        for host in sorted(listener.hosts, key=specificity)
    ]


def specificity(host: str) -> tuple[int, int, str]:
    """A key that puts more specific hosts first: names, then wildcards by length, then any."""
    return (2 if not host else 1 if host.startswith("*.") else 0, -len(host), host)


def changed_path(path: str, match: Match, change: PathChange) -> str:
    """A request's path after a change; `match` is what took the request."""
    if not change.prefix:
        return change.value
    rest = path[len(match.path.rstrip("/")) :].lstrip("/")
    return f"{change.value.rstrip('/')}/{rest}" if rest else change.value or "/"


def location(route: Route, *, scheme: str, host: str, port: int, path: str, query: str) -> str:
    """Where a route's redirect leads a request that came in so; `host` is the Host header, `port` the listener's."""
    redirect = route.filters.redirect
    assert redirect is not None
    to_scheme = redirect.scheme or scheme
    known = {"http": HTTP_PORT, "https": HTTPS_PORT}
    to_port = redirect.port or (known.get(redirect.scheme, port) if redirect.scheme else port)
    shown = "" if known.get(to_scheme) == to_port else f":{to_port}"
    to_path = changed_path(path, route.match, redirect.path) if redirect.path is not None else path
    return f"{to_scheme}://{redirect.host or host_name(host)}{shown}{to_path}{'?' if query else ''}{query}"
