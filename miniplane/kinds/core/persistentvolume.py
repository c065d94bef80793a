"""PersistentVolume: a piece of storage, for a claim to be bound to.

Upstream: core/v1; concept page "Persistent Volumes".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.claims import VOLUME_MODES, access_mode_errors, modes_text, storage_errors
from miniplane.kinds.fields import fill, is_set, named, one_of, open_section, section, shown, strings, text, unchanged

_PATH = Path("spec")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_POLICIES = ("Delete", "Recycle", "Retain")
_ASIDE = frozenset(
    (
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    )
)
"""The fields of a spec that name no source."""


def defaults(volume: Object) -> None:
    """Kept when its claim goes; with a file system."""
    spec = open_section(volume, "spec")
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if is_set(spec, "hostPath") and not is_set(section(spec, "hostPath"), "type"):
        section(spec, "hostPath")["type"] = ""


def validate(volume: Object, old: Object | None) -> Sequence[FieldError]:
    """Size, access modes and one source are there; the source never changes."""
    spec = section(volume, "spec")
    errors = list(_errors(spec))
    if old is not None:
        errors += _update(spec, section(old, "spec"))
    return errors


def _errors(spec: Object) -> Iterator[FieldError]:
    yield from access_mode_errors(_PATH / "accessModes", strings(spec, "accessModes"))
    capacity = section(spec, "capacity")
    yield from storage_errors(_PATH / "capacity" @ "storage" if capacity else _PATH / "capacity", capacity)
    if any(name != "storage" for name in capacity):
        yield not_supported(_PATH / "capacity", shown(capacity), ("storage",))
    yield from one_of(
        _PATH / "persistentVolumeReclaimPolicy", text(spec, "persistentVolumeReclaimPolicy"), _POLICIES, needed=False
    )
    sources = [key for key in spec if key not in _ASIDE and is_set(spec, key)]
    if not sources:
        yield required(_PATH, "must specify a volume type")
    for extra in sources[1:]:
        yield forbidden(_PATH / extra, "may not specify more than 1 volume type")
    yield from _source(spec)
    if name := text(spec, "storageClassName"):
        yield from named(_PATH / "storageClassName", name, is_dns_subdomain)
    if is_set(spec, "volumeMode") and (mode := text(spec, "volumeMode")) not in VOLUME_MODES:
        yield not_supported(_PATH / "volumeMode", mode, VOLUME_MODES)


def _source(spec: Object) -> Iterator[FieldError]:
    if is_set(spec, "hostPath"):
        if not text(section(spec, "hostPath"), "path"):
            yield required(_PATH / "hostPath" / "path")
        if text(section(spec, "hostPath"), "path") == "/" and text(spec, "persistentVolumeReclaimPolicy") == "Recycle":
            words = "may not be 'recycle' for a hostPath mount of '/'"
            yield forbidden(_PATH / "persistentVolumeReclaimPolicy", words)
    if is_set(spec, "local"):
        if not text(section(spec, "local"), "path"):
            yield required(_PATH / "local" / "path")
        if not is_set(spec, "nodeAffinity"):
            yield required(_PATH / "nodeAffinity", "Local volume requires node affinity")
    if is_set(spec, "csi"):
        for key in ("driver", "volumeHandle"):
            if not text(section(spec, "csi"), key):
                yield required(_PATH / "csi" / key)


def _update(new: Object, old: Object) -> Iterator[FieldError]:
    sources = [
        {key: value for key, value in spec.items() if key not in _ASIDE and value is not None} for spec in (new, old)
    ]
    if sources[0] != sources[1]:
        yield forbidden(_PATH / "persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    yield from unchanged(_PATH / "volumeMode", text(new, "volumeMode"), text(old, "volumeMode"))
    before, after = old.get("nodeAffinity"), new.get("nodeAffinity")
    if before and before != after:
        yield invalid(
            _PATH / "nodeAffinity", shown(after), "field is immutable, except for updating from beta label to GA"
        )


def _status(volume: Object, _now: datetime) -> str:
    return "Terminating" if meta.is_deleted(volume) else text(section(volume, "status"), "phase")


def _claim(volume: Object, _now: datetime) -> str:
    claim = section(section(volume, "spec"), "claimRef")
    return f"{text(claim, 'namespace')}/{text(claim, 'name')}" if claim else ""


def _of_spec(name: str, key: str, missing: str = "", **more: int) -> Column:
    def cell(volume: Object, _now: datetime) -> str:
        return text(section(volume, "spec"), key) or missing

    return Column(name, cell, priority=more.get("priority", 0), description=f"The `{key}` of the volume.")


def _class(volume: Object, _now: datetime) -> str:
    return meta.annotations(volume).get(_CLASS_ANNOTATION, "") or text(section(volume, "spec"), "storageClassName")


PERSISTENT_VOLUME = Kind(
    group="",
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    scope=Scope.CLUSTER,
    short_names=("pv",),
    definition="io.k8s.api.core.v1.PersistentVolume",
    columns=(
        NAME,
        Column(
            "Capacity",
            lambda obj, _now: str(section(section(obj, "spec"), "capacity").get("storage", "")),
            description="How large it is.",
        ),
        Column(
            "Access Modes",
            lambda obj, _now: modes_text(strings(section(obj, "spec"), "accessModes")),
            description="How it can be mounted.",
        ),
        _of_spec("Reclaim Policy", "persistentVolumeReclaimPolicy"),
        Column("Status", _status, description="Available, Bound, Released, Failed or Terminating."),
        Column("Claim", _claim, description="What it is bound to."),
        Column("StorageClass", _class, description="The class of storage."),
        _of_spec("VolumeAttributesClass", "volumeAttributesClassName", "<unset>"),
        Column("Reason", lambda obj, _now: text(section(obj, "status"), "reason"), description="Why it is so."),
        AGE,
        _of_spec("VolumeMode", "volumeMode", "<unset>", priority=1),
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(validate=validate, initial_status={"phase": "Pending"}, returns_deleted=True),
)
