"""Node: a machine that runs pods.

Upstream: core/v1; concept page "Nodes".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy, proxy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, invalid
from miniplane.kinds.addresses import parse_block, valid_block
from miniplane.kinds.fields import entries, flag, section, shown, strings, text
from miniplane.kinds.podspec.resources import amount_errors
from miniplane.kinds.podspec.scheduling import taint_errors
from miniplane.kinds.shared import NONE, Cell

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE = "kubernetes.io/role"
_AMOUNTS = ("capacity", "allocatable")


def defaults(node: Object) -> None:
    """`podCIDR` and `podCIDRs` agree; what can be allocated is what there is, if not told otherwise."""
    spec, status = section(node, "spec"), section(node, "status")
    first, blocks = text(spec, "podCIDR"), strings(spec, "podCIDRs")
    if first and blocks[:1] != [first]:
        spec["podCIDRs"] = [first]
    elif blocks:
        spec["podCIDR"] = blocks[0]
    if section(status, "capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(section(status, "capacity"))


def validate(node: Object, old: Object | None) -> Sequence[FieldError]:
    """Taints are unique; the pod blocks are one of each family, and are never changed once they are there."""
    return list(_errors(section(node, "spec"), section(old, "spec") if old else None))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    yield from taint_errors(Path("metadata"), spec)
    path, blocks = Path("spec"), strings(spec, "podCIDRs")
    for index, item in enumerate(blocks):
        yield from valid_block(path / "podCIDRs" @ index, item)
    families = [block.version for item in blocks if (block := parse_block(item))]
    if len(families) > len(set(families)):
        words = "may specify no more than one CIDR for each IP family"
        yield invalid(path / "podCIDRs", shown(blocks), words)
    if old is None:
        return
    words = 'node updates may not change {} except from "" to valid'
    if (before := strings(old, "podCIDRs")) and before != blocks:
        yield forbidden(path / "podCIDRs", words.format("podCIDR"))
    if (provider := text(old, "providerID")) and provider != text(spec, "providerID"):
        yield forbidden(path / "providerID", words.format("providerID"))


def validate_status(node: Object, _old: Object | None) -> Sequence[FieldError]:
    """Amounts are such, and no address is told twice."""
    status, path = section(node, "status"), Path("status")
    errors = [error for key in _AMOUNTS for error in amount_errors(path / key, section(status, key))]
    seen: list[Object] = []
    for index, address in enumerate(entries(status, "addresses")):
        if address in seen:
            errors.append(duplicate(path / "addresses" @ index, shown(address)))
        seen.append(address)
    return errors


def roles(node: Object) -> list[str]:
    """The roles that the labels give it, sorted."""
    labels = meta.labels(node)
    found = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    return sorted((found | {labels.get(_ROLE) or ""}) - {""})


def _status(node: Object, _now: datetime) -> str:
    ready = meta.condition(node, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if flag(section(node, "spec"), "unschedulable") else word


def _roles(node: Object, _now: datetime) -> str:
    return ",".join(roles(node)) or NONE


def _address(kind: str) -> Cell:
    def cell(node: Object, _now: datetime) -> str:
        addresses = entries(section(node, "status"), "addresses")
        return next((text(item, "address") for item in addresses if item.get("type") == kind), NONE)

    return cell


def _info(name: str, key: str, missing: str, *, priority: int = 1) -> Column:
    """A column of the node's own description of itself."""

    def cell(node: Object, _now: datetime) -> str:
        return text(section(section(node, "status"), "nodeInfo"), key) or missing

    return Column(name, cell, priority=priority)


NODE = Kind(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    scope=Scope.CLUSTER,
    short_names=("no",),
    fields={"spec.unschedulable": "spec.unschedulable"},
    definition="io.k8s.api.core.v1.Node",
    columns=(
        NAME,
        Column("Status", _status, description="Whether its agent reports it ready, and whether pods may come."),
        Column("Roles", _roles, description="The roles that its labels give it."),
        AGE,
        _info("Version", "kubeletVersion", "", priority=0),
        Column("Internal-IP", _address("InternalIP"), priority=1),
        Column("External-IP", _address("ExternalIP"), priority=1),
        _info("OS-Image", "osImage", "<unknown>"),
        _info("Kernel-Version", "kernelVersion", "<unknown>"),
        _info("Container-Runtime", "containerRuntimeVersion", "<unknown>"),
    ),
    subresources=(STATUS, proxy("NodeProxyOptions")),
    defaults=defaults,
    strategy=Strategy(validate=validate, validate_status=validate_status),
)
