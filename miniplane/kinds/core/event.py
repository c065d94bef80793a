"""Event: something that happened to an object, for people to read.

Upstream: core/v1. The same storage also has a face as events.k8s.io/v1, which is left out here.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_qualified_name
from miniplane.api.table import age
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.fields import named_required, number, section, text
from miniplane.kinds.shared import parse_moment

_LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}


def validate(event: Object, _old: Object | None) -> Sequence[FieldError]:
    """The event stands in the namespace of what it is about; those of the newer sort say who reports what."""
    return [*_namespace(event), *(_reporting(event) if text(event, "eventTime") else ())]


def _namespace(event: Object) -> Iterator[FieldError]:
    own, about = meta.namespace(event), text(section(event, "involvedObject"), "namespace")
    homes = ("default", "kube-system") if text(event, "eventTime") else ("", "default")
    if (about and own != about and not text(event, "eventTime")) or (not about and own not in homes):
        yield invalid(Path("involvedObject") / "namespace", about, "does not match event.namespace")


def _reporting(event: Object) -> Iterator[FieldError]:
    yield from named_required("reportingController", text(event, "reportingComponent"), is_qualified_name)
    for key in ("reportingInstance", "action", "reason"):
        if not text(event, key):
            yield required(key)
    for key, limit in _LIMITS.items():
        if len(text(event, key)) > limit:
            yield invalid(key, "", f"can have at most {limit} characters")


def _first_seen(event: Object, now: datetime) -> str:
    return age(parse_moment(text(event, "firstTimestamp") or text(event, "eventTime")), now)


def _last_seen(event: Object, now: datetime) -> str:
    if series := section(event, "series"):
        return age(parse_moment(text(series, "lastObservedTime")), now)
    if last := text(event, "lastTimestamp"):
        return age(parse_moment(last), now)
    return _first_seen(event, now)


def last_seen(event: Object) -> datetime | None:
    """When it last happened, or was written down."""
    told = (
        text(section(event, "series"), "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
        text(section(event, "metadata"), "creationTimestamp"),
    )
    return max((moment for item in told if item and (moment := parse_moment(item))), default=None)


def _count(event: Object, _now: datetime) -> int:
    return number(section(event, "series"), "count") or number(event, "count") or 1


def _object(event: Object, _now: datetime) -> str:
    about = section(event, "involvedObject")
    kind, name = text(about, "kind").lower(), text(about, "name")
    return f"{kind}/{name}" if name else kind


def _source(event: Object, _now: datetime) -> str:
    source = section(event, "source")
    component, instance = text(source, "component"), text(source, "host")
    if not component:
        component, instance = text(event, "reportingComponent"), text(event, "reportingInstance")
    return f"{component}, {instance}" if instance else component


def _plain(*path: str) -> Column:
    """A column of a text that is empty where it is missing."""

    def cell(event: Object, _now: datetime) -> str:
        for key in path[1:-1]:
            event = section(event, key)
        return text(event, path[-1]).strip()

    return Column(path[0], cell, priority=1 if path[0] in ("Subobject", "Name") else 0)


_FIELDS = {
    f"involvedObject.{key}": f"involvedObject.{key}"
    for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
}

EVENT = Kind(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    scope=Scope.NAMESPACED,
    short_names=("ev",),
    fields={
        **_FIELDS,
        "reason": "reason",
        "reportingComponent": "reportingComponent",
        "source": "source.component",
        "type": "type",
    },
    definition="io.k8s.api.core.v1.Event",
    columns=(
        Column("Last Seen", _last_seen, description="The time since it was seen last."),
        _plain("Type", "type"),
        _plain("Reason", "reason"),
        Column("Object", _object, description="What it is about."),
        _plain("Subobject", "involvedObject", "fieldPath"),
        Column("Source", _source, priority=1, description="Who reports it."),
        _plain("Message", "message"),
        Column("First Seen", _first_seen, priority=1, description="The time since it was seen first."),
        Column("Count", _count, priority=1, description="How often it was seen."),
        _plain("Name", "metadata", "name"),
    ),
    strategy=Strategy(validate=validate, last_seen=last_seen),
)
