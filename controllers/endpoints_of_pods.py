"""Which Services a pod may stand behind: what the controllers of slices and of Endpoints both wake up for."""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import SERVICE
from miniplane.runtime import Context


def services_of_pod(pod: Object, ctx: Context) -> Iterable[Key]:
    """The Services whose selector takes a pod."""
    for service in ctx.cache(SERVICE).list(meta.namespace(pod)):
        selector = service["spec"].get("selector")
        if selector and selector.items() <= meta.labels(pod).items():
            yield meta.key_of(service)
