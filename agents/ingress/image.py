"""The image `miniplane/ingress`: the ingress proxy in a pod."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from miniplane.aio import stop
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.client import Client, Selection
from miniplane.dataplane import gateway_routes
from miniplane.dataplane.http_routes import Routes
from miniplane.dataplane.ingress_routes import build
from miniplane.kinds import (
    ENDPOINT_SLICE,
    GATEWAY,
    HTTP_ROUTE,
    INGRESS,
    INGRESS_CLASS,
    NAMESPACE,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
)
from miniplane.runtime.informer import Change, Informer, Informers

from ..kubelet.images.base import ContainerContext, RunningContainer, Served
from ..kubelet.images.following import follow_as_pod
from ..kubelet.images.serving import flag
from .server import PORTS, IngressProxy
from .tls import Certificates

NAMES = ("miniplane/ingress", "*/miniplane/ingress")
"""The patterns under which a catalogue should have it."""
TLS_SECRETS = Selection(fields="type=kubernetes.io/tls")
GRACE_S = 10.0
"""How long requests on their way may go on after the proxy has been asked to end."""
_INDEX = "service of slice"
_INGRESS_KINDS = (INGRESS, INGRESS_CLASS, SERVICE, ENDPOINT_SLICE)
_GATEWAY_KINDS = (GATEWAY, HTTP_ROUTE, REFERENCE_GRANT, NAMESPACE, SERVICE, ENDPOINT_SLICE)


def _service_of(item: Object) -> Iterable[str]:
    return (str(Key(meta.namespace(item), meta.labels(item).get(SERVICE_NAME, ""))),)


class Secrets(dict[Key, Object]):
    """The Secrets with certificates, as the pod's service account may read them."""

    def __init__(self) -> None:
        super().__init__()
        self.known = asyncio.Event()
        self.told: Callable[[], None] = lambda: None
        """Called after each change."""

    def changed(self, change: Change) -> None:
        """Take a change in."""
        if change.new is not None:
            self[meta.key_of(change.new)] = change.new
        elif change.old is not None:
            self.pop(meta.key_of(change.old), None)
        self.told()

    def all_known(self) -> None:
        """They have been listed, or may not be read."""
        self.known.set()
        self.told()


Build = Callable[[Mapping[Kind, Informer], "Secrets"], Routes]


class RouteTable:
    """The routes as the informers' caches say, built again when somebody asks after a change."""

    def __init__(
        self, informers: Mapping[Kind, Informer], secrets: Secrets, build: Build, log: Callable[[str], None]
    ) -> None:
        self.changed = asyncio.Event()
        """Set at each change."""
        self._informers, self._secrets, self._build = informers, secrets, build
        self._informers[ENDPOINT_SLICE].add_index(_INDEX, _service_of)
        self._log = log
        self._routes: Routes | None = None
        self._told: set[str] = set()
        secrets.told = self._forget
        self._stops = [informer.subscribe(lambda _: self._forget()) for informer in self._informers.values()]

    def __call__(self) -> Routes | None:
        """The routes in force; None before everything has been listed."""
        is_complete = self._secrets.known.is_set() and all(item.is_synced for item in self._informers.values())
        if self._routes is None and is_complete:
            self._routes = self._build(self._informers, self._secrets)
            self._tell(self._routes)
        return self._routes

    async def synced(self) -> None:
        """Return when everything has been listed."""
        await self._secrets.known.wait()
        for informer in self._informers.values():
            await informer.synced()

    def close(self) -> None:
        """Follow no more."""
        for unsubscribe in self._stops:
            unsubscribe()

    def _forget(self) -> None:
        self._routes = None
        self.changed.set()

    def _tell(self, routes: Routes) -> None:
        problems = {f"{problem.kind.lower()} {problem.owner}: {problem.message}" for problem in routes.problems}
        for line in sorted(problems - self._told):
            self._log(line)
        self._told = problems


def _slices(informers: Mapping[Kind, Informer]) -> Callable[[Key], Iterable[Object]]:
    cache = informers[ENDPOINT_SLICE].cache
    return lambda key: cache.by_index(_INDEX, str(key))


def _of_ingresses(informers: Mapping[Kind, Informer], _secrets: Secrets) -> Routes:
    return build(
        informers[INGRESS].cache, informers[INGRESS_CLASS].cache, informers[SERVICE].cache.get, _slices(informers)
    )


def _of_gateway(key: Key) -> Build:
    def of(informers: Mapping[Kind, Informer], secrets: Secrets) -> Routes:
        caches = {kind: informer.cache for kind, informer in informers.items()}
        gateway = caches[GATEWAY].get(key)
        if gateway is None:
            return Routes()
        world = gateway_routes.World(
            routes=caches[HTTP_ROUTE].list(),
            grants=caches[REFERENCE_GRANT].list(),
            service=caches[SERVICE].get,
            slices=_slices(informers),
            namespace=lambda name: caches[NAMESPACE].get(Key("", name)),
            secret=secrets.get,
        )
        return gateway_routes.build(gateway, world).routes

    return of


class IngressImage:
    """Serves the cluster's Ingresses of our classes, or with `-gateway=NAMESPACE/NAME` that Gateway."""

    def __init__(self, informers: Informers, client: Client) -> None:
        self._informers, self._client = informers, client

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        namespace, _, name = flag(context.args, "gateway").partition("/")
        kinds = _GATEWAY_KINDS if name else _INGRESS_KINDS
        informers = {kind: self._informers.get(kind) for kind in kinds}
        secrets = Secrets()
        made = _of_gateway(Key(namespace, name)) if name else _of_ingresses
        table = RouteTable(informers, secrets, made, context.log)
        certificates = Certificates(table, secrets, context.clock.now(), context.log)
        proxy = IngressProxy(context.link, table, context.log, context.clock, certificates)
        try:
            await proxy.start({} if name else PORTS)
        except OSError:
            table.close()
            raise
        work = follow_as_pod(
            context, self._client, SECRET, TLS_SECRETS, changed=secrets.changed, known=secrets.all_known
        )
        tasks = [asyncio.create_task(work, name="ingress secrets")]
        if name:
            tasks.append(asyncio.create_task(_follow_ports(table, proxy, context.log), name="gateway ports"))
            context.log(f"serving gateway {namespace}/{name} on {context.link.ip}")
        else:
            context.log(f"serving ingresses on {context.link.ip}:80 and :443")

        async def close() -> None:
            table.close()
            await stop(*tasks)
            await proxy.aclose(0 if served.was_killed else GRACE_S)

        served = Served(context, close)
        return served


async def _follow_ports(table: RouteTable, proxy: IngressProxy, log: Callable[[str], None]) -> None:
    """Listen where the Gateway's listeners are, as they change."""
    await table.synced()
    while True:
        table.changed.clear()
        routes = table()
        assert routes is not None
        try:
            await proxy.listen({listener.port: listener.secure for listener in routes.listeners})
        except OSError as error:
            log(f"can't listen: {error}")
        await table.changed.wait()
