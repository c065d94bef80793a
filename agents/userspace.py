"""The user-space data path of one node, put together: rules, links, the tunnel between nodes, the way in from outside.

informers → Proxy → UserspaceBackend → Machine ← VirtualNetwork ⇄ TunnelClient/TunnelServer (other nodes)
                                                        ⇅ OutsideWorld (the API server), HostPorts (the user)
"""

import contextlib
from collections.abc import AsyncIterator

from miniplane import aio, pki
from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.api.wellknown import TUNNEL_ADDRESS
from miniplane.client import Client
from miniplane.kinds import NODE
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.informer import Informers

from .datapath import DataPath, api_server, offer
from .network.hostports import HostPorts, WayIn
from .network.outside import OutsideWorld, gateway
from .network.tunnel import TunnelClient, TunnelServer
from .network.virtual import VirtualNetwork
from .proxy import tables
from .proxy.backends.userspace import UserspaceBackend, new_machine
from .proxy.health import HealthServing
from .proxy.loop import Proxy
from .settings import Settings


@contextlib.asynccontextmanager
async def data_path(
    settings: Settings, client: Client, informers: Informers, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[DataPath]:
    """Bring the data path up, and take it down with everything on it at the end."""
    files = pki.files(settings.data_dir, settings.name)
    machine = new_machine(settings.name, settings.network)
    network = VirtualNetwork(machine, settings.node_ip, clock)
    outside = OutsideWorld(_servers(settings, client))
    server = TunnelServer(network, pki.server_context(files, client="required"))
    tunnel = TunnelClient(pki.client_context(files), lambda node: _locate(informers, node))
    network.outside, network.peers = outside, tunnel
    _, port = await server.start(settings.host, settings.tunnel_port)
    backend = HealthServing(UserspaceBackend(machine), network.host())
    proxy = Proxy(settings.name, settings.network, informers, backend, clock, registry)
    way_in = WayIn(network, outside, settings.network)
    ports = HostPorts(way_in.port, bind=settings.host_ports_bind, advertise=settings.address)
    try:
        async with aio.background(proxy.run(), offer(settings, client, informers, ports, clock)):
            yield DataPath(
                network=network,
                proxy=proxy,
                annotations={TUNNEL_ADDRESS: f"{settings.address}:{port}"},
                tables=lambda query: tables.answer(query, proxy.ruleset, informers, settings.network),
            )
    finally:
        await server.aclose()
        await tunnel.aclose()
        await network.aclose()


def _servers(settings: Settings, client: Client) -> dict[tuple[str, int], tuple[str, int]]:
    """The API server, as pods reach it behind the `kubernetes` Service."""
    where = api_server(client)
    return {(str(gateway(settings.network)), where[1]): where} if where else {}


def _locate(informers: Informers, node: str) -> tuple[str, int] | None:
    """The real address of a node's tunnel."""
    found = informers.get(NODE).cache.get(Key("", node))
    host, _, port = meta.annotations(found or {}).get(TUNNEL_ADDRESS, "").rpartition(":")
    return (host, int(port)) if host and port.isdigit() else None
