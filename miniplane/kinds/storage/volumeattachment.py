"""VolumeAttachment: the wish to have a volume on a node, and how it stands.

Upstream: storage.k8s.io/v1.
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.fields import flag, is_set, section, shown, text

_PATH = Path("spec")
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def validate(attachment: Object, old: Object | None) -> Sequence[FieldError]:
    """Driver, node and one volume are named, and none of it changes."""
    spec = section(attachment, "spec")
    errors = [required(_PATH / key) for key in ("attacher", "nodeName") if not text(spec, key)]
    source = section(spec, "source")
    by_name, inline = text(source, "persistentVolumeName"), is_set(source, "inlineVolumeSpec")
    if by_name and inline:
        errors.append(invalid(_PATH / "source", "", _ONE_SOURCE))
    elif not by_name and not inline:
        errors.append(required(_PATH / "source", _ONE_SOURCE))
    if old is not None and spec != section(old, "spec"):
        errors.append(invalid(_PATH, shown(spec), "field is immutable"))
    return errors


def _volume(attachment: Object, _now: datetime) -> str:
    return text(section(section(attachment, "spec"), "source"), "persistentVolumeName")


def _is_attached(attachment: Object, _now: datetime) -> bool:
    return flag(section(attachment, "status"), "attached")


VOLUME_ATTACHMENT = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    columns=(
        NAME,
        Column("Attacher", ".spec.attacher", description="The driver."),
        Column("PV", _volume, description="The volume."),
        Column("Node", ".spec.nodeName", description="The node."),
        Column("Attached", _is_attached, type="boolean", description="Whether it is done."),
        AGE,
    ),
    subresources=(STATUS,),
    strategy=Strategy(validate=validate, initial_status={"attached": False}),
)
