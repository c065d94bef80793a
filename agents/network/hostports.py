"""Where the user's machine reaches in: real sockets for node ports and for the load-balancer addresses of this node.

A node's addresses exist only inside its data path, so each node port and each load-balancer port that this
node announces is also offered on a real address: `172.30.0.11:30080` on `127.0.0.11:30080`, port 80 on 8080 (ports
below 1024 need privileges), and on any free port of 127.0.0.1 where that can't be had. What comes in enters the node's
rules as a packet from outside, from the machine's address there. The mapping is published as an annotation of the Node.
On a machine of its own, such as a container, a node offers them on all its addresses and publishes its name.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import ANNOUNCED_BY, HOST_PORTS
from miniplane.config import Network
from miniplane.dataplane.packet import Entry, Packet, Source
from miniplane.dataplane.packet import Protocol as IpProtocol
from miniplane.errors import ApiError
from miniplane.observe import logs

from .memory import join
from .outside import OutsideWorld, gateway
from .sockets import SocketHalf
from .virtual import EPHEMERAL, VirtualNetwork

log = logs.get("agents.network.hostports")

PRIVILEGED = 1024
"""Ports below are offered at `PORT_SHIFT` above."""
PORT_SHIFT = 8000
MAX_FLOWS = 1024
"""UDP clients remembered per port; the longest silent is forgotten first."""
RETRY_S = 1.0
LOOPBACK = "127.0.0.1"
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with the setting
"""Addresses that can be bound but not reached."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """An address, port and protocol of the cluster; `str` is how the annotation names it."""

    ip: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}/{self.protocol}"


def targets(node: str, ip: str, services: Iterable[Object]) -> list[Target]:
    """What the node with address `ip` offers for these Services: node ports of both kinds, and what it announces."""
    found: set[Target] = set()
    for service in services:
        spec = service.get("spec") or {}
        kind = spec.get("type")
        if kind not in ("NodePort", "LoadBalancer"):
            continue
        announced = kind == "LoadBalancer" and meta.annotations(service).get(ANNOUNCED_BY) == node
        if kind == "LoadBalancer" and spec.get("healthCheckNodePort"):
            found.add(Target(ip, spec["healthCheckNodePort"], "TCP"))
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or () if announced else ()
        for port in spec.get("ports") or ():
            protocol = port.get("protocol") or "TCP"
            if protocol not in ("TCP", "UDP"):
                continue
            if port.get("nodePort"):
                found.add(Target(ip, port["nodePort"], protocol))
            found |= {Target(item["ip"], port["port"], protocol) for item in ingress if item.get("ip")}
    return sorted(found)


def candidates(target: Target, bind: str, earlier: str) -> list[tuple[str, int]]:
    """Real addresses to try, best first. `bind` empty: loopback addresses of the target's last octet."""
    port = target.port if target.port >= PRIVILEGED else target.port + PORT_SHIFT
    tries: list[tuple[str, int]] = []
    host, _, number = earlier.rpartition(":")
    if host and number.isdigit():
        tries.append((bind or host, int(number)))
    if bind:
        tries += [(bind, target.port), (bind, port), (bind, 0)]
    else:
        octet = ip_address(target.ip).packed[-1]
        tries += [(f"127.0.0.{octet}", port), (LOOPBACK, port), (LOOPBACK, 0)]
    return list(dict.fromkeys(tries))


class Port(Protocol):
    """A real socket for one target."""

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen on a real address, port 0 for any; gives the one taken. Raises OSError."""

    async def aclose(self) -> None:
        """Listen no more; what is connected ends."""


class _TcpPort:
    """A listening socket."""

    def __init__(self, owner: "WayIn", target: Target) -> None:
        self._owner, self._target = owner, target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._halves: set[SocketHalf] = set()
        self._sources: set[int] = set()
        """Source ports in use: all clients have one address inside, so two of them may come with the same port."""

    async def open(self, host: str, port: int) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SocketHalf(self._accept), host, port)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def _accept(self, half: SocketHalf) -> None:
        task = asyncio.create_task(self._enter(half), name=f"from outside to {self._target}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _enter(self, half: SocketHalf) -> None:
        wanted = half.transport.get_extra_info("peername")[1]
        sport = next((port for port in (wanted, *range(*EPHEMERAL)) if port not in self._sources), wanted)
        packet = self._owner.packet(self._target, IpProtocol.TCP, sport)
        network = self._owner.network
        self._sources.add(sport)
        try:
            far = await network.dial(packet, Entry.FORWARD, Source.EXTERNAL)
        except BaseException as error:
            self._sources.discard(sport)
            half.put_reset()
            if not isinstance(error, OSError):
                raise
            log.debug("connection from outside failed", target=self._target, error=error)
            return
        self._halves.add(half)

        def done() -> None:
            self._halves.discard(half)
            self._sources.discard(sport)
            network.forget(packet)

        join(half, far, done)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for half in list(self._halves):
            half.put_reset()


class _UdpPort(asyncio.DatagramProtocol):
    """A datagram socket, and a port of the outside for each of its clients."""

    def __init__(self, owner: "WayIn", target: Target) -> None:
        self._owner, self._target = owner, target
        self._transport: asyncio.DatagramTransport | None = None
        self._ports: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def open(self, host: str, port: int) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        name = self._transport.get_extra_info("sockname")
        return name[0], name[1]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if addr not in self._ports:
            self._open_flow(addr)
        self._ports.move_to_end(addr)
        packet = self._owner.packet(self._target, IpProtocol.UDP, self._ports[addr])
        self._owner.network.send(packet, data, Entry.FORWARD, Source.EXTERNAL)

    def _open_flow(self, addr: tuple[str, int]) -> None:
        outside, source = self._owner.outside, self._owner.source
        wanted = (addr[1], *range(*EPHEMERAL))
        sport = next(port for port in wanted if not outside.is_bound(source, port))

        def back(data: bytes) -> None:
            if self._transport is not None:
                self._transport.sendto(data, addr)

        outside.bind(source, sport, back)
        self._ports[addr] = sport
        if len(self._ports) > MAX_FLOWS:
            outside.unbind(source, self._ports.popitem(last=False)[1])

    async def aclose(self) -> None:
        for port in self._ports.values():
            self._owner.outside.unbind(self._owner.source, port)
        self._ports.clear()
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class WayIn:
    """How clients get from a real socket into the user-space data path: as packets from the user's machine."""

    def __init__(self, network: VirtualNetwork, outside: OutsideWorld, plan: Network) -> None:
        self.network, self.outside = network, outside
        self.source = gateway(plan)

    def packet(self, target: Target, protocol: IpProtocol, sport: int) -> Packet:
        """The packet that somebody outside sends to a target."""
        return Packet(self.source, ip_address(target.ip), protocol, sport, target.port)

    def port(self, target: Target) -> Port:
        """A socket for a target, not open yet."""
        return (_UdpPort if target.protocol == "UDP" else _TcpPort)(self, target)


class HostPorts:
    """The real sockets of one node; `sync` makes them what they should be.

    `make` gives the socket of a target for the data path in use. `bind` empty takes loopback addresses, anything else
    (such as 0.0.0.0 in a container) is the address of all of them. `advertise` is the name or address that is published
    where an unspecified one is bound.
    """

    def __init__(self, make: Callable[[Target], Port], *, bind: str = "", advertise: str = "") -> None:
        self._make = make
        self._bind = bind
        self._name = advertise if bind in ANYWHERE else ""
        self._open: dict[Target, tuple[Port, str]] = {}

    @property
    def mapping(self) -> dict[str, str]:
        """`{"172.30.0.11:30080/TCP": "127.0.0.11:30080"}`."""
        return {str(target): where for target, (_, where) in sorted(self._open.items())}

    async def sync(self, wanted: Iterable[Target], earlier: Mapping[str, str]) -> None:
        """Open what is missing, at its place in `earlier` (a mapping) if possible, and close what is too much."""
        wanted = list(wanted)
        for target in self._open.keys() - set(wanted):
            port, _ = self._open.pop(target)
            await port.aclose()
        for target in wanted:
            if target not in self._open:
                await self._start(target, earlier.get(str(target), ""))

    async def aclose(self) -> None:
        """Close everything."""
        await self.sync((), {})

    async def _start(self, target: Target, earlier: str) -> None:
        for host, number in candidates(target, self._bind, earlier):
            port = self._make(target)
            try:
                got = await port.open(host, number)
            except OSError:
                continue
            self._open[target] = (port, f"{self._name or got[0]}:{got[1]}")
            log.info("reachable from outside", target=target, at=self._open[target][1])
            return
        log.warning("no real address can be had", target=target)


def mapping_of(node: Object) -> dict[str, str]:
    """The mapping in a Node's annotation; empty if there is none that can be read."""
    try:
        found = json.loads(meta.annotations(node).get(HOST_PORTS, "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


async def follow(
    ports: HostPorts,
    changed: asyncio.Event,
    wanted: Callable[[], Iterable[Target]],
    earlier: Mapping[str, str],
    publish: Callable[[str], Awaitable[None]],
    clock: Clock,
) -> None:
    """Keep `ports` as `wanted` says, looking each time `changed` is set, and publish each new mapping (JSON)."""
    published = None
    try:
        while True:
            await changed.wait()
            changed.clear()
            await ports.sync(wanted(), earlier)
            mapping = json.dumps(ports.mapping, separators=(",", ":"))
            if mapping == published:
                continue
            try:
                await publish(mapping)
                published = mapping
            except ApiError as error:
                log.warning("host ports can't be published", error=error)
                await clock.sleep(RETRY_S)
                changed.set()
    finally:
        await ports.aclose()
