"""One node, put together: informers shared by all, the data path, the kubelet and its server, the node's own report.

The order is what makes it right: rules before pods (a pod that runs is reachable as its policies say), addresses of
existing pods before new ones, and `ready` once the node is registered and its rules are in force.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from miniplane import pki
from miniplane.aio import Clock, SystemClock
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.dataplane.dns_resolv import NO_RESOLVER, ResolvConf, parse
from miniplane.kinds import NODE, POD, SERVICE
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.informer import Change, Informers

from . import kernelpath
from .datapath import DataPath
from .dns import image as dns
from .ingress import image as ingress
from .kubelet.api import ClientApi
from .kubelet.host import Host
from .kubelet.images.catalogue import Catalogue, Entry
from .kubelet.kubelet import Addresses, Kubelet
from .kubelet.lease import Heartbeat
from .kubelet.registration import NodeFacts, NodeReporter
from .kubelet.server.app import Server
from .settings import Settings
from .userspace import data_path as userspace_path

log = logs.get("agents.node")

_API_SERVICE = Key("default", "kubernetes")
_SHUTDOWN_S = 0.5
"""How long open streams (a followed log, an exec) may go on when the agent stops."""


async def run(settings: Settings, *, ready: Callable[[], None]) -> None:
    """Be a node until cancelled. Pods end with the agent and come back, with their addresses, with the next one."""
    clock = SystemClock()
    with logs.bind(node=settings.name):
        async with Client.from_kubeconfig(settings.access, clock=clock) as client:
            await run_node(settings, client, clock, ready=ready)


async def run_node(settings: Settings, client: Client, clock: Clock, *, ready: Callable[[], None]) -> None:
    """As `run`, with the client and the clock given."""
    registry = CollectorRegistry()
    recorder = EventRecorder(client, clock, "kubelet", host=settings.name)
    async with (
        Informers(client, clock) as informers,
        _data_path(settings, client, informers, clock, registry) as path,
    ):
        addresses = Addresses()
        host = Host(
            node=settings.name,
            ip=settings.node_ip,
            network=path.network,
            api=ClientApi(client),
            catalogue=Catalogue(system_images(settings, informers, client)),
            clock=clock,
            cluster=settings.network,
            event=recorder.record,
            addresses=addresses,
            services=lambda namespace: _services(informers, namespace),
            resolv_conf=resolv_conf(settings),
        )
        kubelet = Kubelet(host, addresses)
        async with _serve(settings, kubelet, path, clock, registry) as port:
            facts = NodeFacts(
                name=settings.name,
                ip=settings.node_ip,
                kubelet_host=settings.address,
                kubelet_port=port,
                annotations=path.annotations,
                runtime_version=_version(),
            )
            reporter = NodeReporter(client, facts, clock)
            _subscribe(settings.name, informers, kubelet, reporter)
            async with asyncio.TaskGroup() as group:
                registered = asyncio.Event()
                group.create_task(recorder.run(), name="events")
                group.create_task(reporter.run(registered.set), name="node status")
                await registered.wait()
                group.create_task(Heartbeat(client, settings.name, clock).run(), name="node lease")
                await informers.synced()
                await path.proxy.ready.wait()
                group.create_task(kubelet.run(), name="kubelet")
                log.info("node ready", kubelet=f"{settings.address}:{port}", ip=settings.node_ip)
                ready()


def _data_path(
    settings: Settings, client: Client, informers: Informers, clock: Clock, registry: CollectorRegistry
) -> contextlib.AbstractAsyncContextManager[DataPath]:
    """The data path that the settings ask for."""
    make = kernelpath.data_path if settings.dataplane == "kernel" else userspace_path
    return make(settings, client, informers, clock, registry)


def system_images(settings: Settings, informers: Informers, client: Client) -> Sequence[Entry]:
    """The images that are part of the cluster itself: what `miniplane/dns` and `miniplane/ingress` run."""
    return (
        Entry(names=dns.NAMES, server=dns.DnsImage(informers, client, settings.network, resolv_conf(settings))),
        Entry(names=ingress.NAMES, server=ingress.IngressImage(informers, client)),
    )


def resolv_conf(settings: Settings) -> ResolvConf:
    """The node's resolv.conf; empty if it has none."""
    try:
        return parse(settings.resolv_conf.read_text()) if settings.resolv_conf is not None else NO_RESOLVER
    except (OSError, UnicodeDecodeError) as error:
        log.warning("the node's resolv.conf can't be read", path=str(settings.resolv_conf), error=str(error))
        return NO_RESOLVER


def _subscribe(name: str, informers: Informers, kubelet: Kubelet, reporter: NodeReporter) -> None:
    def node_changed(change: Change) -> None:
        node = change.new or change.old
        if node is not None and meta.name(node) == name:
            reporter.update(change.new)
            kubelet.node_changed(change.new)

    informers.get(NODE).subscribe(node_changed)
    informers.get(POD).subscribe(lambda change: kubelet.pod_changed(change.old, change.new))


def _services(informers: Informers, namespace: str) -> list[Object]:
    """The Services whose addresses a namespace's pods find in their environment."""
    cache = informers.get(SERVICE).cache
    found = cache.list(namespace)
    api = cache.get(_API_SERVICE)
    return found if api is None or namespace == _API_SERVICE.namespace else [*found, api]


@contextlib.asynccontextmanager
async def _serve(
    settings: Settings, kubelet: Kubelet, path: DataPath, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[int]:
    """The kubelet's HTTPS server; gives its real port."""
    server = Server(kubelet, clock, registry=registry, tables=path.tables)
    context = pki.server_context(pki.files(settings.data_dir, settings.name), client="required")
    runner = web.AppRunner(
        server.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _version() -> str:
    try:
        return version("miniplane")
    except PackageNotFoundError:
        return "0"
