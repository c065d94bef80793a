"""Routes as a configuration of HAProxy (2.4 or later), which then decides as the built-in proxy does. Pure.

Each port is a frontend. It finds out the listener, then the host, then the first route that matches, all from ordered
lists; a backend is one route's backend, or the answer that the proxy gives by itself. What can't be said there (copies
of requests) is a comment and a problem.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from miniplane.dataplane.http_routes import (
    HTTPS_PORT,
    Backend,
    HeaderChange,
    Listener,
    Match,
    PathChange,
    PathType,
    Route,
    Routes,
    Value,
    ordered,
    specificity,
)

_HEAD = """\
global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option redispatch
  retries 3
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  timeout tunnel 1h
backend not_found
  http-request return status 404 content-type text/plain string "404 Not Found: no route"
"""
_RULE = "  http-request"
_CLAIMED = (
    "Forwarded",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
)


@dataclass(slots=True)
class Rendered:
    """A configuration, and what is missing in it."""

    text: str
    problems: list[str] = field(default_factory=list)


def render(routes: Routes, *, bind: Mapping[int, str] | None = None, certificates: str = "") -> Rendered:
    """The configuration. `bind` says where a port is really listened on (`*:PORT`).

    Ports with TLS are left out unless `certificates` names the folder of HAProxy's certificate files.
    """
    made = Rendered("")
    lines = [_HEAD]
    for port in sorted({listener.port for listener in routes.listeners}):
        listeners = [listener for listener in routes.listeners if listener.port == port]
        if listeners[0].secure and not certificates:
            made.problems.append(f"port {port} is left out: no folder of certificates is named")
            continue
        tls = f" ssl crt {_quoted(certificates)} alpn http/1.1" if listeners[0].secure else ""
        where = (bind or {}).get(port, f"*:{port}")
        lines += _Port(port, listeners, made.problems).lines(f"bind {where}{tls}")
    made.text = "\n".join(lines) + "\n"
    return made


class _Port:
    def __init__(self, port: int, listeners: Sequence[Listener], problems: list[str]) -> None:
        self._port = port
        self._listeners = sorted(listeners, key=lambda item: specificity(item.host))
        self._problems = problems
        self._backends: list[str] = []
        wanted = [item.name for group in ordered(listeners) for route in group[2] for item in route.match.query]
        self._queries = {name: f"txn.query_{number}" for number, name in enumerate(dict.fromkeys(wanted))}
        """Where each query parameter's first value is kept: a condition would look at all of them."""

    def lines(self, bind: str) -> Iterator[str]:
        """The frontend and its backends."""
        scheme = "https" if self._listeners[0].secure else "http"
        yield f"frontend port_{self._port}"
        yield f"  {bind}"
        yield from (f"  http-request del-header {name}" for name in _CLAIMED)
        yield "  http-request set-var(txn.host) req.hdr(host),host_only,lower,regsub(\\.$,)"
        yield "  http-request set-header X-Forwarded-For %[src]"
        yield "  http-request set-header X-Real-IP %[src]"
        yield f"  http-request set-header X-Forwarded-Proto {scheme}"
        yield "  http-request set-header X-Forwarded-Host %[req.hdr(host)]"
        yield f"  http-request set-header X-Forwarded-Port {self._port}"
        for name, variable in self._queries.items():
            yield f"  http-request set-var({variable}) url_param({name}),url_dec"
        for number, listener in enumerate(self._listeners):
            condition = _host(listener.host, deep=True)
            yield f"  http-request set-var(txn.listener) int({number}) if !{{ var(txn.listener) -m found }}{condition}"
        lines = list(self._hosts())
        yield from (line for line in lines if line.startswith(_RULE))  # they are obeyed first, wherever they stand
        yield from (line for line in lines if not line.startswith(_RULE))
        yield "  default_backend not_found"
        yield from self._backends

    def _hosts(self) -> Iterator[str]:
        numbers = {id(listener): number for number, listener in enumerate(self._listeners)}
        groups = ordered(self._listeners)
        for group, (listener, host, _) in enumerate(groups):
            where = f"{{ var(txn.listener) -m int {numbers[id(listener)]} }}"
            yield (
                f"  http-request set-var(txn.group) int({group}) if !{{ var(txn.group) -m found }} {where}"
                f"{_host(host, deep=listener.deep)}"
            )
        for group, (_, _, items) in enumerate(groups):
            for place, route in enumerate(items):
                condition = f"{{ var(txn.group) -m int {group} }}{_match(route.match, self._queries)}"
                yield from self._use(f"p{self._port}_g{group}_r{place}", route, condition)
        for number, listener in enumerate(self._listeners):
            if listener.default is not None:
                condition = f"{{ var(txn.listener) -m int {number} }}"
                yield from self._use(f"p{self._port}_d{number}", listener.default, condition)

    def _use(self, name: str, route: Route, condition: str) -> Iterator[str]:
        """The lines that send a route's requests to its backends, which are written down for later."""
        yield f"  # {route} {route.field}"
        if route.filters.mirrors:
            self._problems.append(f"{route} {route.field}: copies of requests are not sent")
        if route.filters.redirect is not None:
            self._backends += [f"backend {name}", *self._redirect(route)]
            yield f"  use_backend {name} if {condition}"
            return
        total = sum(backend.weight for backend in route.backends)
        if not total:
            self._backends += [f"backend {name}", _answer(500, f"{route} has no backend here")]
            yield f"  use_backend {name} if {condition}"
            return
        if len(route.backends) > 1:
            yield f"  http-request set-var(txn.{name}) rand({total})"
        start = 0
        for number, backend in enumerate(route.backends):
            share = f" {{ var(txn.{name}) -m int {start}:{start + backend.weight - 1} }}"
            if backend.weight:
                yield f"  use_backend {name}_b{number} if {condition}{share if len(route.backends) > 1 else ''}"
                self._backends += [f"backend {name}_b{number}", *_backend(route, backend)]
            start += backend.weight

    def _redirect(self, route: Route) -> Iterator[str]:
        redirect = route.filters.redirect
        assert redirect is not None
        scheme = redirect.scheme or ("https" if self._port_is_secure else "http")
        known = {"http": 80, "https": HTTPS_PORT}
        port = redirect.port or (known[redirect.scheme] if redirect.scheme else self._port)
        shown = "" if known[scheme] == port else f":{port}"
        if redirect.path is not None:
            yield from _path(route.match, redirect.path)
        host = _escaped(redirect.host) if redirect.host else "%[var(txn.host)]"
        yield f"  http-request redirect location {scheme}://{host}{shown}%[pathq] code {redirect.status}"

    @property
    def _port_is_secure(self) -> bool:
        return self._listeners[0].secure


def _backend(route: Route, backend: Backend) -> Iterator[str]:
    yield f"  # service {backend.target}"
    if backend.refused:
        yield _answer(500, backend.refused)
        return
    if limit := route.attempt_s or route.timeout_s:
        yield f"  timeout server {max(1, round(limit * 1000))}ms"
    if route.filters.host:
        yield f"  http-request set-header Host {_value(route.filters.host)}"
    if route.filters.path is not None:
        yield from _path(route.match, route.filters.path)
    for change in (route.filters.request, backend.request):
        yield from _headers("request", change)
    for change in (backend.response, route.filters.response):
        yield from _headers("response", change)
    for number, (ip, port) in enumerate(backend.target.endpoints):
        yield f"  server s{number} {f'[{ip}]' if ':' in ip else ip}:{port}"


def _answer(status: int, text: str) -> str:
    return f"  http-request return status {status} content-type text/plain string {_quoted(text)}"


def _headers(side: str, change: HeaderChange) -> Iterator[str]:
    yield from (f"  http-{side} set-header {name} {_value(value)}" for name, value in change.set)
    yield from (f"  http-{side} add-header {name} {_value(value)}" for name, value in change.add)
    yield from (f"  http-{side} del-header {name}" for name in change.remove)


def _path(match: Match, change: PathChange) -> Iterator[str]:
    if not change.prefix:
        yield f"  http-request set-path {_value(change.value)}"
        return
    prefix, base = re.escape(match.path.rstrip("/")), change.value.rstrip("/")
    only, more = _quoted(f"^{prefix}/*$"), _quoted(f"^{prefix}/*[^/]")
    yield "  http-request set-var(txn.path) path"
    yield f"  http-request set-path {_value(change.value or '/')} if {{ var(txn.path) -m reg {only} }}"
    replaced = _quoted(_escaped(base).replace("\\", "\\\\") + "/\\1")
    yield (
        f"  http-request replace-path {_quoted(f'^{prefix}/*(.*)$')} {replaced} if {{ var(txn.path) -m reg {more} }}"
    )


def _host(pattern: str, *, deep: bool) -> str:
    """A condition on the host, with a space before it; nothing for any host."""
    if not pattern:
        return ""
    if not pattern.startswith("*."):
        return f" {{ var(txn.host) -m str {_quoted(pattern)} }}"
    label = ".+" if deep else "[^.]+"
    return f" {{ var(txn.host) -m reg {_quoted(f'^{label}{re.escape(pattern[1:])}$')} }}"


def _match(match: Match, queries: Mapping[str, str]) -> str:
    """The conditions of a match, each with a space before it."""
    found: list[str] = []
    if match.kind is PathType.EXACT:
        found.append(f"path -m str {_quoted(match.path)}")
    elif match.kind is PathType.REGEX:
        found.append(f"path -m reg {_quoted(f'^(?:{match.path})$')}")
    elif prefix := match.path.rstrip("/"):
        found.append(f"path -m reg {_quoted(f'^{re.escape(prefix)}(/|$)')}")
    if match.method:
        found.append(f"method -m str {match.method}")
    found += [f"req.fhdr({item.name},1) {_compared(item)}" for item in match.headers]
    found += [f"var({queries[item.name]}) {_compared(item)}" for item in match.query]
    return "".join(f" {{ {condition} }}" for condition in found)


def _compared(item: Value) -> str:
    return f"-m reg {_quoted(f'^(?:{item.value})$')}" if item.regex else f"-m str {_quoted(item.value)}"


def _value(text: str) -> str:
    return _quoted(_escaped(text))


def _escaped(text: str) -> str:
    """Text in a log format, where a percent sign means something."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """A word of the configuration; nothing in it means anything."""
    return "'" + text.replace("'", "'\\''").replace("\n", " ") + "'"
