"""Namespace: a scope for names, and what is deleted together.

A namespace goes only when nothing is left in it: `spec.finalizers` holds `kubernetes` until the namespace controller
takes it away by `/finalize`. Upstream: core/v1; concept page "Namespaces".
"""

from collections.abc import Sequence

from miniplane.api import meta
from miniplane.api.kind import ALL_VERBS, STATUS, Column, Kind, Object, Scope, Strategy, Subresource
from miniplane.api.names import is_qualified_name
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path
from miniplane.api.wellknown import NAMESPACE_NAME
from miniplane.kinds.fields import named, open_section, section, strings

FINALIZER = "kubernetes"
"""The finalizer of the namespace controller, in `spec`, not in `metadata`."""


def defaults(namespace: Object) -> None:
    """The label with the namespace's own name, that selectors of NetworkPolicies rely on."""
    if name := meta.name(namespace):
        open_section(open_section(namespace, "metadata"), "labels")[NAMESPACE_NAME] = name


def prepare(namespace: Object, old: Object | None) -> None:
    """A new namespace waits for the namespace controller; who updates one can't change for whom it waits."""
    spec = open_section(namespace, "spec")
    if old is None:
        spec["finalizers"] = list(dict.fromkeys([*strings(spec, "finalizers"), FINALIZER]))
    elif kept := strings(section(old, "spec"), "finalizers"):
        spec["finalizers"] = list(kept)
    else:
        spec.pop("finalizers", None)


def validate(namespace: Object, _old: Object | None) -> Sequence[FieldError]:
    """The finalizers of the spec are qualified names."""
    path = Path("spec") / "finalizers"
    return [
        error
        for item in strings(section(namespace, "spec"), "finalizers")
        for error in named(path, item, is_qualified_name)
    ]


NAMESPACE = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    scope=Scope.CLUSTER,
    short_names=("ns",),
    fields={"status.phase": "status.phase"},
    definition="io.k8s.api.core.v1.Namespace",
    columns=(NAME, Column("Status", ".status.phase", description="Active, or Terminating while it is emptied."), AGE),
    subresources=(STATUS, Subresource("finalize", verbs=("update",))),
    defaults=defaults,
    strategy=Strategy(
        prepare=prepare,
        validate=validate,
        canonicalize=lambda namespace, _old: defaults(namespace),
        initial_status={"phase": "Active"},
        name_is="label",
    ),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
)
