"""RuntimeClass: a way to run pods, by the name that nodes know it.

Upstream: node.k8s.io/v1; concept page "Runtime Class".
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_label, validate_labels
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path
from miniplane.kinds.fields import named_required, section, string_map, text, unchanged
from miniplane.kinds.podspec.resources import amount_errors
from miniplane.kinds.podspec.scheduling import toleration_errors


def validate(runtime: Object, old: Object | None) -> Sequence[FieldError]:
    """The handler is a label and never changes; overhead and scheduling are as those of pods."""
    return list(_errors(runtime, old))


def _errors(runtime: Object, old: Object | None) -> Iterator[FieldError]:
    handler = text(runtime, "handler")
    yield from named_required("handler", handler, is_dns_label)
    yield from amount_errors(Path("overhead") / "podFixed", section(section(runtime, "overhead"), "podFixed"))
    scheduling = section(runtime, "scheduling")
    yield from validate_labels(string_map(scheduling, "nodeSelector"), Path("scheduling") / "nodeSelector")
    yield from toleration_errors(Path("scheduling"), scheduling)
    if old is not None:
        yield from unchanged("handler", handler, text(old, "handler"))


RUNTIME_CLASS = Kind(
    group="node.k8s.io",
    version="v1",
    kind="RuntimeClass",
    plural="runtimeclasses",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.node.v1.RuntimeClass",
    columns=(NAME, Column("Handler", ".handler", description="What nodes call it."), AGE),
    strategy=Strategy(validate=validate),
)
