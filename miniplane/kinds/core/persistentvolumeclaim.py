"""PersistentVolumeClaim: a wish for storage.

Upstream: core/v1; concept page "Persistent Volumes".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden
from miniplane.kinds.claims import claim_errors, default_claim, modes_text
from miniplane.kinds.fields import section, strings, text
from miniplane.kinds.podspec.resources import parse_amount

_PATH = Path("spec")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
"""Where the class stood before it had a field."""
_UPDATE_RULE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def validate(claim: Object, old: Object | None) -> Sequence[FieldError]:
    """The spec is right, and only a bound claim's size may grow later."""
    spec = section(claim, "spec")
    return [*claim_errors(_PATH, spec), *(_update(spec, old) if old is not None else ())]


def _update(spec: Object, old: Object) -> Iterator[FieldError]:
    before = section(old, "spec")
    is_bound = text(section(old, "status"), "phase") == "Bound"
    if _fixed(spec, before, is_bound=is_bound) != _fixed(before, before, is_bound=is_bound):
        yield forbidden(_PATH, _UPDATE_RULE)
    amount, earlier = (
        parse_amount(section(section(part, "resources"), "requests").get("storage")) for part in (spec, before)
    )
    if is_bound and amount is not None and earlier is not None and amount < earlier:
        granted = parse_amount(section(section(old, "status"), "capacity").get("storage"))
        if granted is None or amount <= granted:
            words = "field can not be less than status.capacity"
            yield forbidden(_PATH / "resources" / "requests" / "storage", words)


def _fixed(spec: Object, old: Object, *, is_bound: bool) -> Object:
    """What an update may not change; null, empty and missing are one."""
    free = {"resources"} | ({"volumeAttributesClassName"} if is_bound else set())
    if not text(old, "volumeName"):
        free.add("volumeName")  # to be bound
    if not text(old, "storageClassName"):
        free.add("storageClassName")  # set by whoever knows the default class
    fixed = {key: value for key, value in spec.items() if key not in free and value not in (None, "", [], {})}
    if not is_bound:
        fixed["resources"] = spec.get("resources")
    return fixed


def _status(claim: Object, _now: datetime) -> str:
    return "Terminating" if meta.is_deleted(claim) else text(section(claim, "status"), "phase")


def _bound(key: str) -> Column:
    """A column that is empty until the claim is bound."""

    def cell(claim: Object, _now: datetime) -> str:
        status = section(claim, "status")
        if not text(section(claim, "spec"), "volumeName"):
            return ""
        return (
            text(section(status, "capacity"), "storage")
            if key == "Capacity"
            else modes_text(strings(status, "accessModes"))
        )

    return Column(key, cell, description=f"The {key.lower()} of the volume.")


def storage_class(obj: Object, _now: datetime | None = None) -> str:
    """The name of the class that a claim or a volume asks for, empty for none."""
    return meta.annotations(obj).get(CLASS_ANNOTATION, "") or text(section(obj, "spec"), "storageClassName")


def _attributes(claim: Object, _now: datetime) -> str:
    return text(section(claim, "spec"), "volumeAttributesClassName") or "<unset>"


def _mode(claim: Object, _now: datetime) -> str:
    return text(section(claim, "spec"), "volumeMode") or "<unset>"


PERSISTENT_VOLUME_CLAIM = Kind(
    group="",
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    scope=Scope.NAMESPACED,
    short_names=("pvc",),
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    columns=(
        NAME,
        Column("Status", _status, description="Pending, Bound, Lost or Terminating."),
        Column(
            "Volume",
            lambda obj, _now: text(section(obj, "spec"), "volumeName"),
            description="The volume it is bound to.",
        ),
        _bound("Capacity"),
        _bound("Access Modes"),
        Column("StorageClass", storage_class, description="The class of storage asked for."),
        Column("VolumeAttributesClass", _attributes, description="The class of attributes asked for."),
        AGE,
        Column("VolumeMode", _mode, priority=1, description="Whether it has a file system."),
    ),
    subresources=(STATUS,),
    defaults=default_claim,
    strategy=Strategy(validate=validate, initial_status={"phase": "Pending"}, returns_deleted=True),
)
