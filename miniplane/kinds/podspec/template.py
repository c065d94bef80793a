"""What workloads do with their pod template: its defaults and warnings."""

from collections.abc import Sequence

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.names import is_dns_label
from miniplane.api.validation import Path
from miniplane.kinds.fields import fill, open_section, section
from miniplane.kinds.podspec.defaults import default_pod_spec
from miniplane.kinds.podspec.spec import pod_spec_warnings


def default_template(spec: Object) -> None:
    """One replica, and a template with the defaults of pods."""
    fill(spec, replicas=1)
    default_pod_spec(open_section(open_section(spec, "template"), "spec"))


def template_warnings(workload: Object, _old: Object | None) -> Sequence[str]:
    """What is legal and hardly meant, in the template or in the name that pods get theirs from."""
    pod = section(section(section(workload, "spec"), "template"), "spec")
    return [
        *name_warnings(workload, "this is used in Pod names and hostnames"),
        *pod_spec_warnings(Path("spec") / "template" / "spec", pod),
    ]


def name_warnings(obj: Object, use: str) -> list[str]:
    """A warning where the name is no label, though a host name is made of it."""
    name = meta.name(obj)
    problems = is_dns_label(name) if name else []
    if not problems:
        return []
    advice = "which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: {use}, {advice}: [{' '.join(problems)}]"]
