"""Rules of probes and lifecycle hooks: one handler each, thresholds in range."""

from collections.abc import Callable, Iterator

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError, Path, forbidden, invalid, required
from miniplane.kinds.fields import (
    at_least,
    elements,
    entries,
    is_set,
    number,
    one_of,
    optional,
    port_number,
    port_or_name,
    section,
    text,
)
from miniplane.kinds.podspec.defaults import HOOKS, PROBES

_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def _exec(path: Path, action: Object) -> Iterator[FieldError]:
    if not elements(action, "command"):
        yield required(path / "command")


def _http_get(path: Path, action: Object) -> Iterator[FieldError]:
    if not text(action, "path"):
        yield required(path / "path")
    yield from port_or_name(path / "port", action.get("port"))
    yield from one_of(path / "scheme", text(action, "scheme"), ("HTTP", "HTTPS"))
    for index, header in enumerate(entries(action, "httpHeaders")):
        if not text(header, "name"):
            yield required(path / "httpHeaders" @ index / "name")


def _tcp_socket(path: Path, action: Object) -> Iterator[FieldError]:
    return port_or_name(path / "port", action.get("port"))


def _grpc(path: Path, action: Object) -> Iterator[FieldError]:
    return port_number(path / "port", number(action, "port"))


def _sleep(path: Path, action: Object) -> Iterator[FieldError]:
    return at_least(path / "seconds", optional(action, "seconds"))


_HANDLERS: dict[str, Callable[[Path, Object], Iterator[FieldError]]] = {
    "exec": _exec,
    "httpGet": _http_get,
    "tcpSocket": _tcp_socket,
    "grpc": _grpc,
    "sleep": _sleep,
}


def _handler(path: Path, holder: Object) -> Iterator[FieldError]:
    found = 0
    for key, rule in _HANDLERS.items():
        if not is_set(holder, key):
            continue
        if found:
            yield forbidden(path / key, "may not specify more than 1 handler type")
        else:
            yield from rule(path / key, section(holder, key))
        found += 1
    if not found:
        yield required(path, "must specify a handler type")


def probe_errors(path: Path, container: Object) -> Iterator[FieldError]:
    """The errors of a container's hooks and probes; `path` is the container's."""
    lifecycle = section(container, "lifecycle")
    for key in HOOKS:
        if is_set(lifecycle, key):
            yield from _handler(path / "lifecycle" / key, section(lifecycle, key))
    for key in PROBES:
        if is_set(container, key):
            yield from _probe(path / key, section(container, key), key)


def _probe(path: Path, probe: Object, key: str) -> Iterator[FieldError]:
    yield from _handler(path, probe)
    for count in _COUNTS:
        yield from at_least(path / count, optional(probe, count))
    grace = optional(probe, "terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        yield invalid(path / "terminationGracePeriodSeconds", grace, "must be greater than 0")
    if key == "readinessProbe":
        if grace is not None:
            yield invalid(path / "terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    elif (successes := number(probe, "successThreshold")) != 1:
        yield invalid(path / "successThreshold", successes, "must be 1")
