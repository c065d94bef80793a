"""Real sockets as probes: one listener per place, protocol and port, and any number of clients, in one event loop.

A listener answers with whom it saw and at which of its addresses, so that a client knows all that became of its
packets. TCP, UDP, and ICMP of either IP version, whose echo is answered by the kernel and so tells no more than that it
arrived.
"""

import errno
import selectors
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.kernel.namespaces import Namespace
from tests.kernel.wiring import CLIENTS, FOREIGN, NODES, Wiring, node_address
from tests.property.dataplane_strategies import sixth

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_LINGER_NOT = struct.pack("ii", 1, 0)
_ECHOES = {name: struct.pack("!BBHHH", kind, 0, 0, 0, 1) for name, kind in (("ICMP", 8), ("ICMPV6", 128))}
_GRACE_S = 0.06
"""How long an answer that nobody expects is waited for after the last one came."""
_OUTSIDE = {*CLIENTS, *map(sixth, CLIENTS)}
_REFUSALS = {errno.ECONNREFUSED: "reject", errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "no route"}


class Probe(NamedTuple):
    """A connection to try. `node` is where it enters the cluster; `is_answered` what one expects."""

    src: str
    dst: str
    protocol: str
    port: int
    node: str
    is_answered: bool


class Prober:
    """Listens everywhere from the start; `run` sends probes."""

    def __init__(self, wiring: Wiring, ports: Iterable[int]) -> None:
        self._places: dict[str, Namespace] = dict.fromkeys(CLIENTS, wiring.outside)
        self._places |= dict.fromkeys(FOREIGN, wiring.abroad)
        self._places |= {node_address(number): wiring.nodes[f"node-{number}"] for number in NODES}
        self._places |= wiring.pods
        self._places |= {sixth(address): place for address, place in self._places.items()}
        self._selector = selectors.DefaultSelector()
        self._served: set[socket.socket] = set()
        ports = tuple(ports)
        for address, place in self._places.items():
            with place.inside():
                for port in ports:
                    self._listen(address, port)

    def run(self, probes: list[Probe], patience_s: float) -> list[list[object]]:
        """What became of each probe: `[verdict, dst, port, src]`; silence is a drop."""
        results: list[list[object]] = [["drop"] for _ in probes]
        waiting = {number for number, probe in enumerate(probes) if probe.is_answered}
        clients: dict[int, socket.socket] = {}
        by_place: dict[str, list[int]] = {}
        for number, probe in enumerate(probes):
            by_place.setdefault(probe.src, []).append(number)
        for src, numbers in by_place.items():
            with self._places[src].inside():
                for number in numbers:
                    client = _client(probes[number])
                    clients[number] = client
                    self._selector.register(
                        client, selectors.EVENT_READ | selectors.EVENT_WRITE, (number, probes[number])
                    )
                    self._start(client, probes[number], results[number])
        end = time.monotonic() + patience_s
        quiet_since = time.monotonic()
        while True:
            now = time.monotonic()
            left = end - now if waiting else quiet_since + _GRACE_S - now
            if left <= 0 or not clients:
                break
            for key, _ in self._selector.select(left):
                if key.data is None or isinstance(key.data, str):
                    self._serve(key)
                    continue
                number, probe = key.data
                if self._advance(clients[number], probe, results[number]):
                    self._selector.unregister(clients[number])
                    clients.pop(number).close()
                    waiting.discard(number)
                    quiet_since = time.monotonic()
        for client in clients.values():
            self._selector.unregister(client)
            client.close()
        return results

    def _listen(self, address: str, port: int) -> None:
        family = _family(address)
        stream = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((address, port))
        stream.listen(512)
        datagrams = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        datagrams.bind((address, port))
        self._selector.register(stream, selectors.EVENT_READ, "stream")
        self._selector.register(datagrams, selectors.EVENT_READ, "datagrams")

    def _serve(self, key: selectors.SelectorKey) -> None:
        server = key.fileobj
        assert isinstance(server, socket.socket)
        if key.data == "stream":
            connection, peer = server.accept()
            connection.settimeout(0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            connection.send(_report(connection.getsockname(), peer))
            self._selector.register(connection, selectors.EVENT_READ, None)
        elif key.data == "datagrams":
            _, peer = server.recvfrom(64)
            server.sendto(_report(server.getsockname(), peer), peer)
        else:
            self._selector.unregister(server)
            server.close()

    def _start(self, client: socket.socket, probe: Probe, result: list[object]) -> None:
        port = 0 if probe.protocol in _ECHOES else probe.port
        try:
            client.connect((probe.dst, port))
            if probe.protocol != "TCP":
                self._selector.modify(client, selectors.EVENT_READ, (self._selector.get_key(client).data))
                client.send(_ECHOES.get(probe.protocol, b"?"))
        except (BlockingIOError, PermissionError):
            return  # on its way, or stopped by the node's own rules, which may or may not say more
        except OSError as error:
            result[:] = [_REFUSALS.get(error.errno or 0, str(error))]

    def _advance(self, client: socket.socket, probe: Probe, result: list[object]) -> bool:
        """Read what there is; whether that is the end of it."""
        if result[0] != "drop":
            return True
        try:
            said = client.recv(128)
        except BlockingIOError:
            refused = _queued_error(client)
            if refused:
                result[:] = [_REFUSALS.get(refused, str(refused))]
                return True
            self._selector.modify(client, selectors.EVENT_READ, self._selector.get_key(client).data)
            return False
        except OSError as error:
            result[:] = [_REFUSALS.get(error.errno or 0, str(error))]
            return True
        if probe.protocol in _ECHOES:
            result[:] = ["accept"]
        else:
            dst, port, src = said.decode().split()
            result[:] = ["accept", dst, int(port), src]
        return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _report(own: tuple[Any, ...], peer: tuple[Any, ...]) -> bytes:
    return f"{own[0]} {own[1]} {peer[0]}".encode()


def _queued_error(client: socket.socket) -> int:
    """What ICMP said of a connection in the making.

    It comes back while `connect` still holds the socket, which then would learn of it only at its next attempt, a
    second later; the queue of errors has it at once.
    """
    try:
        _, control, _, _ = client.recvmsg(64, 256, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return 0
    return next(
        (int.from_bytes(data[:4], "little") for _, kind, data in control if kind in (_IP_RECVERR, _IPV6_RECVERR)), 0
    )


def _client(probe: Probe) -> socket.socket:
    kind = socket.SOCK_STREAM if probe.protocol == "TCP" else socket.SOCK_DGRAM
    family = _family(probe.src)
    number = {"ICMP": socket.IPPROTO_ICMP, "ICMPV6": socket.IPPROTO_ICMPV6}.get(probe.protocol, 0)
    client = socket.socket(family, kind | socket.SOCK_NONBLOCK, number)
    if family == socket.AF_INET:
        client.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        client.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    if probe.protocol == "TCP":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    if probe.src in _OUTSIDE:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(probe.node.rpartition("-")[2]))
    client.bind((probe.src, 0))
    return client
