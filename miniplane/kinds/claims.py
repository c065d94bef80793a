"""What claims of storage have in common: PersistentVolumeClaims, and the templates of them in StatefulSets."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_dns_subdomain
from miniplane.api.quantity import Quantity
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.fields import fill, is_set, named, open_section, section, strings, text
from miniplane.kinds.podspec.resources import amount_errors
from miniplane.kinds.shared import selector_errors

ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
"""The ways to mount a volume, and how a table writes them, in its order."""
VOLUME_MODES = ("Block", "Filesystem")


def default_claim(claim: Object) -> None:
    """A volume with a file system."""
    fill(open_section(claim, "spec"), volumeMode="Filesystem")


def access_mode_errors(path: Path, modes: list[str]) -> Iterator[FieldError]:
    """The access modes are there and known, and the exclusive one stands alone."""
    if not modes:
        yield required(path, "at least 1 access mode is required")
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def storage_errors(path: Path, amounts: Object) -> Iterator[FieldError]:
    """An amount of storage is there, and is more than nothing."""
    if "storage" not in amounts:
        yield required(path)
        return
    yield from amount_errors(path, amounts)
    try:
        size = Quantity.parse(amounts["storage"])
    except (ValueError, TypeError):
        return  # told by the schema
    if not size.nano:
        yield invalid(path, str(size), "must be greater than zero")


def claim_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a claim's spec."""
    yield from selector_errors(path, spec, "selector")
    yield from access_mode_errors(path / "accessModes", strings(spec, "accessModes"))
    yield from storage_errors(path / "resources" @ "storage", section(section(spec, "resources"), "requests"))
    for key in ("storageClassName", "volumeAttributesClassName"):
        if name := text(spec, key):
            yield from named(path / key, name, is_dns_subdomain)
    if is_set(spec, "volumeMode") and (mode := text(spec, "volumeMode")) not in VOLUME_MODES:
        yield not_supported(path / "volumeMode", mode, VOLUME_MODES)
    yield from _data_source(path / "dataSource", section(spec, "dataSource"), given=is_set(spec, "dataSource"))


def _data_source(path: Path, source: Object, *, given: bool) -> Iterator[FieldError]:
    if not given:
        return
    for key in ("name", "kind"):
        if not text(source, key):
            yield required(path / key)
    if not text(source, "apiGroup") and text(source, "kind") not in ("", "PersistentVolumeClaim"):
        yield invalid(
            path, text(source, "kind"), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        )


def modes_text(modes: list[str]) -> str:
    """Access modes in a cell: `RWO,ROX`."""
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in modes)
