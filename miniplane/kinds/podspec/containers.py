"""Rules of containers: regular, init and ephemeral ones."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_dns_label, is_port_name
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, not_supported, required
from miniplane.kinds.fields import (
    PROTOCOLS,
    entries,
    is_set,
    named,
    named_required,
    number,
    one_of,
    port_number,
    repeated,
    text,
)
from miniplane.kinds.podspec.defaults import PROBES
from miniplane.kinds.podspec.environment import environment_errors
from miniplane.kinds.podspec.probes import probe_errors
from miniplane.kinds.podspec.resources import resource_errors
from miniplane.kinds.podspec.volumes import mount_errors

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_EPHEMERAL_FORBIDDEN = ("ports", *PROBES, "lifecycle", "resources", "restartPolicy")


def container_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of all containers of a pod spec; `path` is the pod spec's."""
    volumes = frozenset(text(volume, "name") for volume in entries(spec, "volumes"))
    regular, init = entries(spec, "containers"), entries(spec, "initContainers")
    if not regular:
        yield required(path / "containers")
    for index, container in enumerate(regular):
        here = path / "containers" @ index
        yield from _common(here, container, volumes)
        yield from probe_errors(here, container)
        if is_set(container, "restartPolicy"):
            yield forbidden(here / "restartPolicy", "may not be set for non-init containers")
    yield from repeated(path / "containers", "name", regular)
    yield from _host_ports(path / "containers", regular)
    taken = {text(container, "name") for container in regular} - {""}
    for index, container in enumerate(init):
        here = path / "initContainers" @ index
        yield from _common(here, container, volumes)
        yield from _init(here, container)
        yield from _unique(here, container, taken)
    for index, container in enumerate(entries(spec, "ephemeralContainers")):
        here = path / "ephemeralContainers" @ index
        yield from _common(here, container, volumes)
        yield from _unique(here, container, taken)
        for key in _EPHEMERAL_FORBIDDEN:
            if container.get(key):
                yield forbidden(here / key, "cannot be set for an Ephemeral Container")


def _unique(path: Path, container: Object, taken: set[str]) -> Iterator[FieldError]:
    name = text(container, "name")
    if name in taken:
        yield duplicate(path / "name", name)
    elif name:
        taken.add(name)


def _init(path: Path, container: Object) -> Iterator[FieldError]:
    """An init container has probes and hooks only if it is a sidecar, one that restarts."""
    restarts = text(container, "restartPolicy")
    if is_set(container, "restartPolicy") and restarts != "Always":
        yield not_supported(path / "restartPolicy", restarts, ("Always",))
    if restarts == "Always":
        yield from probe_errors(path, container)
        return
    for key in ("lifecycle", *PROBES):
        if is_set(container, key):
            yield forbidden(path / key, "may not be set for init containers without restartPolicy=Always")


def _common(path: Path, container: Object, volumes: frozenset[str]) -> Iterator[FieldError]:
    yield from named_required(path / "name", text(container, "name"), is_dns_label)
    if not text(container, "image"):
        yield required(path / "image")
    yield from one_of(path / "terminationMessagePolicy", text(container, "terminationMessagePolicy"), _MESSAGE_POLICIES)
    yield from _ports(path / "ports", container)
    yield from environment_errors(path, container)
    yield from mount_errors(path, container, volumes)
    yield from one_of(path / "imagePullPolicy", text(container, "imagePullPolicy"), _PULL_POLICIES)
    yield from resource_errors(path, container)


def _ports(path: Path, container: Object) -> Iterator[FieldError]:
    names: set[str] = set()
    for index, port in enumerate(entries(container, "ports")):
        here = path @ index
        if name := text(port, "name"):
            yield from named(here / "name", name, is_port_name)
            if name in names:
                yield duplicate(here / "name", name)
            names.add(name)
        if value := number(port, "containerPort"):
            yield from port_number(here / "containerPort", value)
        else:
            yield required(here / "containerPort")
        if value := number(port, "hostPort"):
            yield from port_number(here / "hostPort", value)
        yield from one_of(here / "protocol", text(port, "protocol"), PROTOCOLS)


def _host_ports(path: Path, containers: list[Object]) -> Iterator[FieldError]:
    """One host port, protocol and host address is taken once in a pod."""
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(entries(container, "ports")):
            if not (value := number(port, "hostPort")):
                continue
            shown = f"{text(port, 'protocol')}/{text(port, 'hostIP')}/{value}"
            if shown in seen:
                yield duplicate(path @ index / "ports" @ place / "hostPort", shown)
            seen.add(shown)
