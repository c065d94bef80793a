"""PodTemplate: a pod template on its own, for controllers that want one.

Upstream: core/v1.
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import NAME
from miniplane.api.validation import FieldError, Path
from miniplane.kinds.fields import entries, section, string_map, text
from miniplane.kinds.podspec.defaults import default_pod_spec
from miniplane.kinds.podspec.spec import pod_spec_warnings, pod_template_errors
from miniplane.kinds.shared import labels_text


def defaults(template: Object) -> None:
    """Those of pods."""
    if pod := section(section(template, "template"), "spec"):
        default_pod_spec(pod)


def validate(template: Object, _old: Object | None) -> Sequence[FieldError]:
    """A pod could be made of it."""
    return list(pod_template_errors(Path("template"), section(template, "template")))


def warnings(template: Object, _old: Object | None) -> Sequence[str]:
    """What is legal and hardly meant."""
    return list(pod_spec_warnings(Path("template") / "spec", section(section(template, "template"), "spec")))


def _of_containers(name: str, key: str) -> Column:
    def cell(template: Object, _now: datetime) -> str:
        containers = entries(section(section(template, "template"), "spec"), "containers")
        return ",".join(text(container, key) for container in containers)

    return Column(name, cell, description=f"The {key}s of the containers.")


def _labels(template: Object, _now: datetime) -> str:
    return labels_text(string_map(section(section(template, "template"), "metadata"), "labels"))


POD_TEMPLATE = Kind(
    group="",
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.core.v1.PodTemplate",
    columns=(
        NAME,
        _of_containers("Containers", "name"),
        _of_containers("Images", "image"),
        Column("Pod Labels", _labels, description="The labels of its pods."),
    ),
    defaults=defaults,
    strategy=Strategy(validate=validate, warnings=warnings, counts_generation=True, returns_deleted=True),
)
