"""ControllerRevision: a template as it was, so that a StatefulSet or a DaemonSet can go back to it.

Upstream: apps/v1.
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, required
from miniplane.kinds.fields import at_least, is_set, number, optional, text, unchanged
from miniplane.kinds.shared import NONE


def validate(revision: Object, old: Object | None) -> Sequence[FieldError]:
    """There is data, and it never changes."""
    errors = [] if is_set(revision, "data") else [required("data", "data is mandatory")]
    errors += at_least("revision", optional(revision, "revision"))
    if old is not None:
        errors += unchanged("data", revision.get("data"), old.get("data"))
    return errors


def _controller(revision: Object, _now: datetime) -> str:
    owner = next((owner for owner in meta.owner_references(revision) if owner.get("controller")), None)
    if owner is None:
        return NONE
    group = text(owner, "apiVersion").rpartition("/")[0]
    kind = f"{text(owner, 'kind')}.{group}" if group else text(owner, "kind")
    return f"{kind.lower()}/{text(owner, 'name')}"


CONTROLLER_REVISION = Kind(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.apps.v1.ControllerRevision",
    columns=(
        NAME,
        Column("Controller", _controller, description="Whose revision it is."),
        Column("Revision", lambda obj, _now: number(obj, "revision"), type="integer", description="Its number."),
        AGE,
    ),
    strategy=Strategy(validate=validate),
)
