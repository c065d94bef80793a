"""The connection table of one node: which packets belong together, and how their addresses were translated.

Modelled on the kernel's: a connection is known by two tuples, one per direction; it is established once a reply was
seen; only its first packet meets nat chains. A packet that is dropped or rejected leaves no entry.
"""

from collections.abc import Callable
from typing import NamedTuple

from miniplane.dataplane.packet import Protocol


class Tuple(NamedTuple):
    """One direction of a connection; addresses are integers of IP version `version`."""

    version: int
    src: int
    dst: int
    protocol: int
    sport: int
    dport: int

    def reversed(self) -> "Tuple":
        """The other direction."""
        return Tuple(self.version, self.dst, self.src, self.protocol, self.dport, self.sport)


class Connection:
    """One connection. `original` is as first sent, `translated` as it left: equal without NAT."""

    __slots__ = ("expires", "is_replied", "is_target_translated", "mark", "original", "translated")

    def __init__(self, original: Tuple) -> None:
        self.original = original
        self.translated = original
        self.mark = 0
        self.is_target_translated = False
        self.is_replied = False
        self.expires = 0.0

    @property
    def reply(self) -> Tuple:
        """What a reply looks like when it comes in."""
        return self.translated.reversed()


_UNREPLIED_S = {Protocol.TCP: 120.0, Protocol.UDP: 30.0, Protocol.SCTP: 120.0}
_REPLIED_S = {Protocol.TCP: 432000.0, Protocol.UDP: 120.0, Protocol.SCTP: 210.0}
_OTHER_S = 30.0
_FIRST_PORT, _LAST_PORT = 1024, 65535
_SWEEP_AT = 1024


class Conntrack:
    """Connections by both their tuples. Idle ones end after the kernel's times; whoever closes one says so sooner."""

    def __init__(self) -> None:
        self._table: dict[Tuple, Connection] = {}
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        return len(self._connections())

    def find(self, packet: Tuple, now: float) -> Connection | None:
        """The connection that a packet belongs to."""
        found = self._table.get(packet)
        if found is not None and found.expires <= now:
            self._remove(found)
            return None
        return found

    def confirm(self, connection: Connection, now: float) -> None:
        """Keep a connection whose packet has passed, or keep it longer."""
        times = _REPLIED_S if connection.is_replied else _UNREPLIED_S
        connection.expires = now + times.get(Protocol(connection.original.protocol), _OTHER_S)
        if connection.original not in self._table:
            if len(self._table) >= self._sweep_at:
                self._sweep(now)
            self._table[connection.original] = connection
            self._table[connection.reply] = connection

    def make_unique(self, translated: Tuple) -> Tuple:
        """`translated`, with another source port if its replies would be taken for another connection's."""
        if not Protocol(translated.protocol).has_ports or translated.reversed() not in self._table:
            return translated
        span = _LAST_PORT - _FIRST_PORT + 1
        for step in range(1, span):
            sport = _FIRST_PORT + (translated.sport - _FIRST_PORT + step) % span
            candidate = translated._replace(sport=sport)
            if candidate.reversed() not in self._table:
                return candidate
        return translated

    def forget(self, packet: Tuple) -> None:
        """Drop the connection that a packet belongs to, whichever direction it goes."""
        found = self._table.get(packet)
        if found is not None:
            self._remove(found)

    def forget_if(self, condition: Callable[[Connection], bool]) -> int:
        """Drop all connections that meet a condition; says how many."""
        gone = [connection for connection in self._connections() if condition(connection)]
        for connection in gone:
            self._remove(connection)
        return len(gone)

    def has_protocol(self, protocol: Protocol) -> bool:
        """Whether there is any connection of that protocol."""
        return any(item.protocol == protocol for item in self._table)

    def _connections(self) -> list[Connection]:
        return [connection for key, connection in self._table.items() if key == connection.original]

    def _remove(self, connection: Connection) -> None:
        for key in (connection.original, connection.reply):
            if self._table.get(key) is connection:
                del self._table[key]

    def _sweep(self, now: float) -> None:
        self.forget_if(lambda connection: connection.expires <= now)
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._table))
