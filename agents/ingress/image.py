"""The image `miniplane/ingress`: the ingress proxy in a pod."""

from collections.abc import Callable, Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.dataplane.ingress_routes import Routes, build
from miniplane.kinds import ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, SERVICE
from miniplane.runtime.informer import Informers

from ..kubelet.images.base import ContainerContext, RunningContainer, Served
from .server import IngressProxy

NAMES = ("miniplane/ingress", "*/miniplane/ingress")
"""The patterns under which a catalogue should have it."""
_INDEX = "service of slice"


def _service_of(item: Object) -> Iterable[str]:
    return (str(Key(meta.namespace(item), meta.labels(item).get(SERVICE_NAME, ""))),)


class RouteTable:
    """The routes as the informers' caches say, built again when somebody asks after a change."""

    def __init__(self, informers: Informers, log: Callable[[str], None]) -> None:
        self._informers = {kind: informers.get(kind) for kind in (INGRESS, INGRESS_CLASS, SERVICE, ENDPOINT_SLICE)}
        self._informers[ENDPOINT_SLICE].add_index(_INDEX, _service_of)
        self._log = log
        self._routes: Routes | None = None
        self._told: set[str] = set()
        self._stops = [informer.subscribe(lambda _: self._forget()) for informer in self._informers.values()]

    def __call__(self) -> Routes | None:
        """The routes in force; None before everything has been listed."""
        if self._routes is None and all(informer.is_synced for informer in self._informers.values()):
            slices = self._informers[ENDPOINT_SLICE].cache
            self._routes = build(
                self._informers[INGRESS].cache,
                self._informers[INGRESS_CLASS].cache,
                self._informers[SERVICE].cache.get,
                lambda key: slices.by_index(_INDEX, str(key)),
            )
            self._tell(self._routes)
        return self._routes

    def close(self) -> None:
        """Follow no more."""
        for stop in self._stops:
            stop()

    def _forget(self) -> None:
        self._routes = None

    def _tell(self, routes: Routes) -> None:
        problems = {f"ingress {problem.ingress}: {problem.message}" for problem in routes.problems}
        for line in sorted(problems - self._told):
            self._log(line)
        self._told = problems


class IngressImage:
    """Serves the cluster's Ingresses of our classes from the agent's informers."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        table = RouteTable(self._informers, context.log)
        proxy = IngressProxy(context.link, table, context.log, context.clock)
        try:
            await proxy.start()
        except OSError:
            table.close()
            raise
        context.log(f"serving ingresses on {context.link.ip}:80")

        async def close() -> None:
            table.close()
            await proxy.aclose()

        return Served(context, close)
