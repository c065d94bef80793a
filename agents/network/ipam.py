"""The pod addresses of one node, out of its podCIDR.

Counterpart upstream: the `host-local` address plugin. The first address of the block is the gateway's and is never
given, nor are the network and (IPv4) broadcast addresses. Addresses are handed out in rising order and round again, so
one that was released comes back as late as possible: a packet for the old pod does not reach a new one.
"""

import ipaddress

Range = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Exhausted(LookupError):
    """Every address of the block is in use."""


class Ipam:
    """Addresses by owner; an owner has at most one."""

    def __init__(self, cidr: str) -> None:
        self.cidr: Range = ipaddress.ip_network(cidr)
        self._first = 2
        last = self.cidr.num_addresses - (2 if self.cidr.version == 4 else 1)  # noqa: PLR2004 - the IP version
        self._count = max(0, last - self._first + 1)
        self._next = 0
        self._by_owner: dict[str, Address] = {}
        self._owners: dict[Address, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def gateway(self) -> str:
        """The block's first address."""
        return str(self.cidr[1])

    def get(self, owner: str) -> str | None:
        """The owner's address, if it has one."""
        address = self._by_owner.get(owner)
        return None if address is None else str(address)

    def allocate(self, owner: str) -> str:
        """The owner's address; a new one if it has none.

        Raises:
            Exhausted: No address is left.
        """
        if (had := self.get(owner)) is not None:
            return had
        for step in range(self._count):
            at = (self._next + step) % self._count
            address = self.cidr[self._first + at]
            if address not in self._owners:
                self._next = at + 1
                self._take(owner, address)
                return str(address)
        raise Exhausted(f"no address left in {self.cidr}")

    def adopt(self, owner: str, address: str) -> bool:
        """Take an address that the owner has already (it survived the agent); False if it can't be its own."""
        wanted = ipaddress.ip_address(address)
        holder = self._owners.get(wanted)
        if wanted not in self.cidr or not self._first <= int(wanted) - int(self.cidr[0]) < self._first + self._count:
            return False
        if holder is not None or owner in self._by_owner:
            return holder == owner
        self._take(owner, wanted)
        self._next = max(self._next, int(wanted) - int(self.cidr[self._first]) + 1)
        return True

    def release(self, owner: str) -> None:
        """Give the owner's address back. Idempotent."""
        if (address := self._by_owner.pop(owner, None)) is not None:
            del self._owners[address]

    def _take(self, owner: str, address: Address) -> None:
        self._by_owner[owner] = address
        self._owners[address] = owner
