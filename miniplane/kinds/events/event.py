"""Event of the group events.k8s.io: another face of the events in core.

Upstream: events.k8s.io/v1; one storage, two groups.
"""

from typing import Any

from miniplane.api.kind import Face, Kind, Object, Scope
from miniplane.kinds.core.event import EVENT

_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""What the same field is called in core and here."""
_STORED = {new: old for old, new in _NAMES.items()}


def show(event: Object) -> Object:
    """A core event as one of this group."""
    return _renamed(event, _NAMES, "events.k8s.io/v1")


def read(event: Object) -> Object:
    """An event of this group as one of core."""
    return _renamed(event, _STORED, "v1")


def _renamed(event: Object, names: dict[str, str], api_version: str) -> dict[str, Any]:
    result = {names.get(key, key): value for key, value in event.items()}
    result["apiVersion"] = api_version
    return result


EVENTS_EVENT = Kind(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    scope=Scope.NAMESPACED,
    short_names=("ev",),
    fields={
        **{
            label.replace("involvedObject", "regarding"): path
            for label, path in EVENT.fields.items()
            if label not in ("reportingComponent", "source")
        },
        "reportingController": "reportingComponent",
    },
    definition="io.k8s.api.events.v1.Event",
    columns=EVENT.columns,
    face=Face(EVENT, show, read),
)
