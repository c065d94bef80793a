"""LimitRanger: defaults for what containers ask for, and bounds. Upstream: plugin/pkg/admission/limitranger."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity
from miniplane.errors import forbidden
from miniplane.kinds.fields import entries, open_section, section, text
from miniplane.kinds.podspec.demand import Amounts, amounts, asked

from .chain import Attributes, Operation, Plugin

ANNOTATION = "kubernetes.io/limit-ranger"


def _limits(attributes: Attributes) -> Iterator[Object]:
    """The items of all LimitRanges of the namespace, by name of the object."""
    for entry in attributes.store.list("/limitranges", attributes.namespace).entries:
        yield from entries(section(entry.obj, "spec"), "limits")


def _default(attributes: Attributes) -> None:
    pod = attributes.obj
    assert pod is not None
    spec = section(pod, "spec")
    told: list[str] = []
    for item in _limits(attributes):
        if text(item, "type") != "Container":
            continue
        for field, word in (("containers", "container"), ("initContainers", "init container")):
            for container in entries(spec, field):
                told += _fill(container, word, item)
    if told:
        annotations = open_section(open_section(pod, "metadata"), "annotations")
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"


def _fill(container: Object, word: str, item: Object) -> Iterator[str]:
    """Set what a container lacks; tells what was set. A limit of the user's stands in for a request already."""
    for side, key, said in (("limits", "default", "limit"), ("requests", "defaultRequest", "request")):
        resources, values = section(container, "resources"), section(item, key)
        missing = {name: value for name, value in values.items() if name not in section(resources, side)}
        if missing:
            open_section(open_section(container, "resources"), side).update(missing)
            yield f"{', '.join(sorted(missing))} {said} for {word} {text(container, 'name')}"


def _bounds(attributes: Attributes) -> None:
    obj = attributes.obj
    assert obj is not None
    spec = section(obj, "spec")
    problems: list[str] = []
    for item in _limits(attributes):
        kind = text(item, "type")
        if attributes.kind.plural == "persistentvolumeclaims":
            if kind == "PersistentVolumeClaim":
                problems += _claim(item, amounts(section(section(spec, "resources"), "requests")))
        elif kind == "Container":
            for container in (*entries(spec, "containers"), *entries(spec, "initContainers")):
                resources = section(container, "resources")
                problems += _item(item, amounts(section(resources, "requests")), amounts(section(resources, "limits")))
        elif kind == "Pod":
            problems += _item(item, asked(spec, "requests"), asked(spec, "limits"))
    if problems:
        why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise forbidden(attributes.kind.resource, attributes.name, why)


def _item(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = text(item, "type")
    for name, least in amounts(section(item, "min")).items():
        yield from _least(name, kind, least, requests.get(name), limits.get(name))
    for name, most in amounts(section(item, "max")).items():
        yield from _most(name, kind, most, requests.get(name), limits.get(name))
    for name, ratio in amounts(section(item, "maxLimitRequestRatio")).items():
        yield from _ratio(name, kind, ratio, requests.get(name), limits.get(name))


def _claim(item: Object, requests: Amounts) -> Iterator[str]:
    """Claims have no limits: what is requested must be within the bounds."""
    for name, least in amounts(section(item, "min")).items():
        yield from _least(name, "PersistentVolumeClaim", least, requests.get(name), None)
    for name, most in amounts(section(item, "max")).items():
        asked_for = requests.get(name)
        if asked_for is not None and asked_for > most:
            yield f"maximum {name} usage per PersistentVolumeClaim is {most}, but request is {asked_for}"


def _least(name: str, kind: str, least: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if request is None:
        yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
    elif request < least:
        yield f"minimum {name} usage per {kind} is {least}, but request is {request}"
    elif limit is not None and limit < least:
        yield f"minimum {name} usage per {kind} is {least}, but limit is {limit}"


def _most(name: str, kind: str, most: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if limit is None:
        yield f"maximum {name} usage per {kind} is {most}.  No limit is specified"
    elif limit > most:
        yield f"maximum {name} usage per {kind} is {most}, but limit is {limit}"
    elif request is not None and request > most:
        yield f"maximum {name} usage per {kind} is {most}, but request is {request}"


def _ratio(name: str, kind: str, ratio: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    head = f"{name} max limit to request ratio per {kind} is {ratio}, but"
    if not request:
        yield f"{head} no request is specified or request is 0"
    elif not limit:
        yield f"{head} no limit is specified or limit is 0"
    elif limit.nano * 10**9 > ratio.nano * request.nano:
        yield f"{head} provided ratio is {limit.nano / request.nano:f}"


PLUGIN = Plugin(
    "LimitRanger",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("pods", "persistentvolumeclaims")),
    mutate=_default,
    validate=_bounds,
)
