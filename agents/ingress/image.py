"""The image `miniplane/ingress`: the ingress proxy in a pod."""

import asyncio
from collections.abc import Callable, Iterable

from miniplane.aio import stop
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.client import Client, Selection
from miniplane.dataplane.http_routes import Routes
from miniplane.dataplane.ingress_routes import build
from miniplane.kinds import ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, SECRET, SERVICE
from miniplane.runtime.informer import Change, Informers

from ..kubelet.images.base import ContainerContext, RunningContainer, Served
from ..kubelet.images.following import follow_as_pod
from .server import IngressProxy
from .tls import Certificates

NAMES = ("miniplane/ingress", "*/miniplane/ingress")
"""The patterns under which a catalogue should have it."""
TLS_SECRETS = Selection(fields="type=kubernetes.io/tls")
GRACE_S = 10.0
"""How long requests on their way may go on after the proxy has been asked to end."""
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
        for unsubscribe in self._stops:
            unsubscribe()

    def _forget(self) -> None:
        self._routes = None

    def _tell(self, routes: Routes) -> None:
        problems = {f"{problem.kind.lower()} {problem.owner}: {problem.message}" for problem in routes.problems}
        for line in sorted(problems - self._told):
            self._log(line)
        self._told = problems


class Secrets(dict[Key, Object]):
    """The Secrets with certificates, as the pod's service account may read them."""

    def changed(self, change: Change) -> None:
        """Take a change in."""
        if change.new is not None:
            self[meta.key_of(change.new)] = change.new
        elif change.old is not None:
            self.pop(meta.key_of(change.old), None)


class IngressImage:
    """Serves the cluster's Ingresses of our classes from the agent's informers."""

    def __init__(self, informers: Informers, client: Client) -> None:
        self._informers, self._client = informers, client

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        table = RouteTable(self._informers, context.log)
        secrets, secrets_known = Secrets(), asyncio.Event()

        def routes() -> Routes | None:
            return table() if secrets_known.is_set() else None

        certificates = Certificates(routes, secrets, context.clock.now(), context.log)
        proxy = IngressProxy(context.link, routes, context.log, context.clock, certificates)
        try:
            await proxy.start()
        except OSError:
            table.close()
            raise
        work = follow_as_pod(
            context, self._client, SECRET, TLS_SECRETS, changed=secrets.changed, known=secrets_known.set
        )
        following = asyncio.create_task(work, name="ingress secrets")
        context.log(f"serving ingresses on {context.link.ip}:80 and :443")

        async def close() -> None:
            table.close()
            await stop(following)
            await proxy.aclose(0 if served.was_killed else GRACE_S)

        served = Served(context, close)
        return served
