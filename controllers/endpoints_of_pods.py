"""Which Services a pod may stand behind: what the controllers of slices and of Endpoints both wake up for."""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import SERVICE
from miniplane.runtime import Context

SELECTED = "selected"
"""An index of Services by one of the labels that they select."""
REST = 10.0
"""How many times as long as it took to write them a Service's endpoints rest; a hundred starting pods change them a
hundred times, and every time they are written, sent and read as a whole."""


def selected(service: Object) -> Iterable[str]:
    """Index values: a label that every pod behind the Service has."""
    selector = service["spec"].get("selector")
    if selector:
        name, value = min(selector.items())
        yield f"{meta.namespace(service)}/{name}={value}"


def services_of_pod(pod: Object, ctx: Context) -> Iterable[Key]:
    """The Services whose selector takes a pod."""
    services, namespace, labels = ctx.cache(SERVICE), meta.namespace(pod), meta.labels(pod)
    for name, value in labels.items():
        for service in services.by_index(SELECTED, f"{namespace}/{name}={value}"):
            if service["spec"]["selector"].items() <= labels.items():
                yield meta.key_of(service)
