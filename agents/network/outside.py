"""What lies outside the cluster, as the user-space data path sees it: few things, each by name.

The first address of the nodes' network stands for the user's machine. It answers where something is mapped there, as
the API server is; clients that come in through `hostports.py` have it as their address. Nothing else can be reached.
"""

import asyncio
import errno
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network

from miniplane.config import Network
from miniplane.dataplane.packet import Packet

from .memory import Half
from .sockets import SocketHalf

Address = IPv4Address | IPv6Address


def gateway(network: Network) -> Address:
    """The address of the user's machine in the nodes' network."""
    return ip_network(network.node_cidr)[1]


class OutsideWorld:
    """Real servers by the (address, port) that they have inside; see `Outside` in `virtual.py`.

    `servers` is `{("172.30.0.1", 6443): ("127.0.0.1", 40123)}`, TCP only.
    """

    def __init__(self, servers: Mapping[tuple[str, int], tuple[str, int]]) -> None:
        self._servers = dict(servers)
        self._receivers: dict[tuple[Address, int], Callable[[bytes], None]] = {}

    async def open(self, packet: Packet) -> Half:
        """Connect to the real server. Raises OSError as connecting does, ENETUNREACH where there is none."""
        where = self._servers.get((str(packet.dst), packet.dport))
        if where is None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        _, half = await asyncio.get_running_loop().create_connection(SocketHalf, *where)
        return half

    def send(self, packet: Packet, data: bytes) -> None:
        """A datagram to whoever is bound there."""
        receive = self._receivers.get((packet.dst, packet.dport))
        if receive is not None:
            receive(data)

    def is_bound(self, address: Address, port: int) -> bool:
        """Whether somebody receives datagrams there."""
        return (address, port) in self._receivers

    def bind(self, address: Address, port: int, receive: Callable[[bytes], None]) -> None:
        """Receive datagrams that come out of the cluster to this address and port."""
        self._receivers[address, port] = receive

    def unbind(self, address: Address, port: int) -> None:
        """Receive no more."""
        self._receivers.pop((address, port), None)
