"""What every data path of a node has, and what is the same for all: the way in from the user's machine."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from miniplane.aio import Clock
from miniplane.api.meta import Key
from miniplane.api.wellknown import HOST_PORTS
from miniplane.client import Client
from miniplane.kinds import NODE, SERVICE
from miniplane.runtime.informer import Informers

from .network.base import Network
from .network.hostports import HostPorts, follow, mapping_of, targets
from .proxy.loop import Proxy
from .settings import Settings

_HTTPS = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPath:
    """A node's data path, running."""

    network: Network
    proxy: Proxy
    annotations: Mapping[str, str]
    """What the Node has to say so that others find the way here."""

    tables: Callable[[Mapping[str, str]], str]
    """The rules in force as text, as a request's query wants them (`proxy/tables.py`)."""


def api_server(client: Client) -> tuple[str, int] | None:
    """Where the API server really is; None if it is no host and port."""
    parts = urlsplit(client.access.server)
    return (parts.hostname, parts.port or _HTTPS) if parts.hostname else None


async def offer(settings: Settings, client: Client, informers: Informers, ports: HostPorts, clock: Clock) -> None:
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
