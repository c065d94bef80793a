"""The kernel's data path of one node, put together: namespaces, links, rules, the way in from outside.

informers → Proxy → KernelBackend → nft, netlink       KernelNetwork: namespaces and sockets of pods
                                                       Entrance, serve_api: to and from the user's machine
"""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from miniplane import aio
from miniplane.aio import Clock
from miniplane.client import Client
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.informer import Informers

from .datapath import DataPath, api_server, offer
from .network.hostports import HostPorts
from .network.kernel.entrance import Entrance, serve_api
from .network.kernel.network import KernelNetwork
from .network.kernel.places import places_file, publish
from .network.kernel.underlay import Underlay
from .proxy import tables
from .proxy.backends.kernel import KernelBackend
from .proxy.health import HealthServing
from .proxy.loop import Proxy
from .settings import Settings

log = logs.get("agents.kernelpath")

REPAIR_S = 10.0
"""How often the kernel's rules are compared with those compiled."""


@contextlib.asynccontextmanager
async def data_path(
    settings: Settings, client: Client, informers: Informers, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[DataPath]:
    """Bring the data path up, and take it down with everything on it at the end.

    Raises OSError where the holder of the nodes' network is missing.
    """
    async with contextlib.AsyncExitStack() as undo:
        underlay = Underlay.join(settings.data_dir, settings.network)
        undo.callback(underlay.close)
        tell = partial(publish, settings.data_dir, settings.name)
        undo.callback(places_file(settings.data_dir, settings.name).unlink, missing_ok=True)
        network = KernelNetwork(underlay, settings.name, settings.node_ip, changed=tell)
        undo.push_async_callback(network.aclose)
        kernel = KernelBackend(network)
        undo.callback(kernel.close)
        backend = HealthServing(kernel, network.host())
        proxy = Proxy(settings.name, settings.network, informers, backend, clock, registry)
        entrance = Entrance(underlay, settings.node_ip)
        undo.callback(entrance.link.close)
        ports = HostPorts(entrance.port, bind=settings.host_ports_bind, advertise=settings.address)
        if where := api_server(client):
            await undo.enter_async_context(serve_api(underlay, *where))
        offering = offer(settings, client, informers, ports, clock)
        async with aio.background(proxy.run(), offering, _repair(kernel, clock), underlay.watch()):
            yield DataPath(
                network=network,
                proxy=proxy,
                annotations={},
                tables=lambda query: tables.answer(query, proxy.ruleset, informers, settings.network),
            )


async def _repair(kernel: KernelBackend, clock: Clock) -> None:
    """Put back what somebody else has changed in the kernel's rules."""
    while True:
        await clock.sleep(REPAIR_S)
        try:
            await kernel.repair()
        except (OSError, ValueError) as error:
            log.warning("rules could not be compared", error=str(error))
