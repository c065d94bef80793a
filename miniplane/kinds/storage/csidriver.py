"""CSIDriver: what a storage driver can do and wants to be told.

Upstream: storage.k8s.io/v1.
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, not_supported, required
from miniplane.kinds.fields import (
    entries,
    fill,
    flag,
    is_set,
    open_section,
    repeated,
    section,
    strings,
    text,
    unchanged,
)

_PATH = Path("spec")
_MODES = ("Ephemeral", "Persistent")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")


def defaults(driver: Object) -> None:
    """Volumes are attached and persistent; the driver is told nothing about pods."""
    fill(
        open_section(driver, "spec"),
        attachRequired=True,
        podInfoOnMount=False,
        storageCapacity=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        requiresRepublish=False,
        seLinuxMount=False,
    )
    if not driver["spec"].get("volumeLifecycleModes"):
        driver["spec"]["volumeLifecycleModes"] = ["Persistent"]


def validate(driver: Object, old: Object | None) -> Sequence[FieldError]:
    """Modes and policies are known; how volumes are attached never changes."""
    spec = section(driver, "spec")
    errors = [
        required(_PATH / key)
        for key in ("attachRequired", "podInfoOnMount", "storageCapacity")
        if not is_set(spec, key)
    ]
    errors += [
        not_supported(_PATH / "volumeLifecycleModes", mode, _MODES)
        for mode in strings(spec, "volumeLifecycleModes")
        if mode not in _MODES
    ]
    if is_set(spec, "fsGroupPolicy") and (policy := text(spec, "fsGroupPolicy")) not in _GROUP_POLICIES:
        errors.append(not_supported(_PATH / "fsGroupPolicy", policy, _GROUP_POLICIES))
    errors += repeated(_PATH / "tokenRequests", "audience", entries(spec, "tokenRequests"))
    if old is not None:
        before = section(old, "spec")
        for key in ("attachRequired", "volumeLifecycleModes"):
            errors += unchanged(_PATH / key, spec.get(key), before.get(key))
    return errors


def _yes(name: str, key: str, *, missing: bool = False) -> Column:
    def cell(driver: Object, _now: datetime) -> bool:
        spec = section(driver, "spec")
        return flag(spec, key) if is_set(spec, key) else missing

    return Column(name, cell, type="boolean", description=f"The driver's `{key}`.")


def _audiences(driver: Object, _now: datetime) -> str:
    audiences = [text(item, "audience") for item in entries(section(driver, "spec"), "tokenRequests")]
    return ",".join(audiences) if audiences else "<unset>"


def _modes(driver: Object, _now: datetime) -> str:
    return ",".join(strings(section(driver, "spec"), "volumeLifecycleModes")) or "<none>"


CSI_DRIVER = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.storage.v1.CSIDriver",
    columns=(
        NAME,
        _yes("AttachRequired", "attachRequired", missing=True),
        _yes("PodInfoOnMount", "podInfoOnMount"),
        _yes("StorageCapacity", "storageCapacity"),
        Column("TokenRequests", _audiences, description="Audiences of the tokens that it gets."),
        _yes("RequiresRepublish", "requiresRepublish"),
        Column("Modes", _modes, description="How long its volumes live."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(validate=validate, counts_generation=True),
)
