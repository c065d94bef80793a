"""The user-space data path of one node, put together: rules, links, the tunnel between nodes, the way in from outside.

informers → Proxy → UserspaceBackend → Machine ← VirtualNetwork ⇄ TunnelClient/TunnelServer (other nodes)
                                                        ⇅ OutsideWorld (the API server), HostPorts (the user)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from miniplane import aio, pki
from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.api.wellknown import HOST_PORTS, TUNNEL_ADDRESS
from miniplane.client import Client
from miniplane.kinds import NODE, SERVICE
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.informer import Informers

from .network.hostports import HostPorts, follow, mapping_of, targets
from .network.outside import OutsideWorld, gateway
from .network.tunnel import TunnelClient, TunnelServer
from .network.virtual import VirtualNetwork
from .proxy import tables
from .proxy.backends.userspace import UserspaceBackend, new_machine
from .proxy.health import HealthServing
from .proxy.loop import Proxy
from .settings import Settings

_HTTPS = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPath:
    """A node's data path, running."""

    network: VirtualNetwork
    proxy: Proxy
    annotations: Mapping[str, str]
    """What the Node has to say so that others find the way here."""

    tables: Callable[[Mapping[str, str]], str]
    """The rules in force as text, as a request's query wants them (`proxy/tables.py`)."""


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
    ports = HostPorts(network, outside, settings.network, bind=settings.host_ports_bind, advertise=settings.address)
    try:
        async with aio.background(proxy.run(), _host_ports(settings, client, informers, ports, clock)):
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
    parts = urlsplit(client.access.server)
    if not parts.hostname:
        return {}
    port = parts.port or _HTTPS
    return {(str(gateway(settings.network)), port): (parts.hostname, port)}


def _locate(informers: Informers, node: str) -> tuple[str, int] | None:
    """The real address of a node's tunnel."""
    found = informers.get(NODE).cache.get(Key("", node))
    host, _, port = meta.annotations(found or {}).get(TUNNEL_ADDRESS, "").rpartition(":")
    return (host, int(port)) if host and port.isdigit() else None


async def _host_ports(settings: Settings, client: Client, informers: Informers, ports: HostPorts, clock: Clock) -> None:
    """Offer node ports and announced addresses on real addresses of this machine."""
    services, nodes = informers.get(SERVICE), informers.get(NODE)
    await services.synced()
    key = Key("", settings.name)
    changed, registered = asyncio.Event(), asyncio.Event()
    stop_waiting = nodes.subscribe(lambda _: registered.set() if key in nodes.cache else None)
    await registered.wait()
    stop_waiting()

    async def publish(mapping: str) -> None:
        await client.patch(NODE, key, {"metadata": {"annotations": {HOST_PORTS: mapping}}})

    unsubscribe = services.subscribe(lambda _: changed.set())
    changed.set()
    try:
        await follow(
            ports,
            changed,
            lambda: targets(settings.name, settings.node_ip, services.cache),
            mapping_of(nodes.cache.get(key) or {}),
            publish,
            clock,
        )
    finally:
        unsubscribe()
