"""Node IPAM: cuts each Node's pod range out of the cluster's, once and for good.

The next block after the last one handed out, round the range; a block is free again when its Node is gone, and a Node
that comes back gets what it had where nobody has it now. Upstream:
pkg/controller/nodeipam/ipam (range allocator and cidrset).
"""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import POD_RANGES
from miniplane.config import Network
from miniplane.kinds import NODE
from miniplane.runtime import DONE, Context, On, Result, again

IPV6_MASK = 64
"""Upstream's --node-cidr-mask-size-ipv6."""
MAX_BITS = 16
"""Blocks are at most this many bits longer than their range, as upstream: 65,536 of them."""
RETRY_S = 30.0
"""A Node without a block waits this long; a freed block also wakes it, through its deletion's event."""

Cidr = IPv4Network | IPv6Network


@dataclass(slots=True)
class CidrSet:
    """The blocks of one range. `last` is the index of the block handed out last."""

    whole: Cidr
    mask: int
    last: int = -1

    @property
    def size(self) -> int:
        """How many blocks there are."""
        return 1 << (self.mask - self.whole.prefixlen)

    def block(self, index: int) -> Cidr:
        """The block of an index."""
        step = 1 << (self.whole.max_prefixlen - self.mask)
        return ip_network((int(self.whole.network_address) + index * step, self.mask))

    def indexes(self, cidr: Cidr) -> range:
        """The indexes of all blocks that a range overlaps, wider or narrower than a block."""
        if cidr.version != self.whole.version or not cidr.overlaps(self.whole):
            return range(0)
        step = 1 << (self.whole.max_prefixlen - self.mask)
        first = max(int(cidr.network_address) - int(self.whole.network_address), 0) // step
        last = min(int(cidr.broadcast_address) - int(self.whole.network_address), self.size * step - 1) // step
        return range(first, last + 1)

    def claim(self, wanted: Cidr, used: Iterable[Cidr]) -> Cidr | None:
        """The block that is wanted, if it is one and nobody has it."""
        indexes = self.indexes(wanted)
        if len(indexes) != 1 or self.block(indexes[0]) != wanted or any(wanted.overlaps(cidr) for cidr in used):
            return None
        return wanted

    def next(self, used: Iterable[Cidr]) -> Cidr | None:
        """The next free block after the last one, or None; remembers it."""
        taken = {index for cidr in used for index in self.indexes(cidr)}
        for offset in range(1, self.size + 1):
            index = (self.last + offset) % self.size
            if index not in taken:
                self.last = index
                return self.block(index)
        return None


def sets_of(network: Network) -> list[CidrSet]:
    """One set per family of the cluster's pod ranges. Raises ValueError for a mask that does not fit a range."""
    made = []
    for text in network.pod_cidrs:
        cidr = ip_network(text)
        mask = network.node_cidr_mask if isinstance(cidr, IPv4Network) else max(IPV6_MASK, cidr.prefixlen)
        if not 0 <= mask - cidr.prefixlen <= MAX_BITS:
            raise ValueError(f"node_cidr_mask /{mask} must be between {cidr} and 16 bits longer")
        made.append(CidrSet(cidr, mask))
    return made


def used_by(nodes: Iterable[Object]) -> list[Cidr]:
    """The blocks that Nodes hold."""
    return [ip_network(text) for node in nodes for text in pod_cidrs(node)]


def pod_cidrs(node: Object) -> Sequence[str]:
    """A Node's blocks."""
    spec = node.get("spec") or {}
    return spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])


def wishes(node: Object) -> list[Cidr]:
    """The ranges that a Node says to have had before somebody deleted it."""
    found = []
    for text in filter(None, meta.annotations(node).get(POD_RANGES, "").split(",")):
        with contextlib.suppress(ValueError):
            found.append(ip_network(text))
    return found


def _block(of: CidrSet, used: Sequence[Cidr], wanted: Sequence[Cidr]) -> Cidr | None:
    """The block wished for, where it is free; else the next free one."""
    claimed = (block for wish in wanted if (block := of.claim(wish, used)))
    return next(claimed, None) or of.next(used)


class NodeIpam:
    """The reconciler; keeps the sets, and blocks given to Nodes that the cache does not show yet."""

    def __init__(self, network: Network) -> None:
        self._sets = sets_of(network)
        self._reserved = [ip_network(text) for text in network.service_cidrs]
        self._given: dict[str, list[Cidr]] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Give one Node a block of each range if it has none."""
        node, nodes = ctx.cache(NODE).get(key), ctx.cache(NODE).list()
        alive = {meta.uid(other) for other in nodes}
        self._given = {uid: blocks for uid, blocks in self._given.items() if uid in alive}
        if node is None or pod_cidrs(node):
            return DONE
        blocks = self._given.get(meta.uid(node)) or self._take(nodes, wishes(node))
        if blocks is None:
            ctx.event(node, "Normal", "CIDRNotAvailable", f"Node {key.name} status is now: CIDRNotAvailable")
            return again(RETRY_S)
        self._given[meta.uid(node)] = blocks
        texts = [str(block) for block in blocks]
        await ctx.client.patch(NODE, key, {"spec": {"podCIDR": texts[0], "podCIDRs": texts}})
        return DONE

    def _take(self, nodes: Iterable[Object], wanted: Sequence[Cidr]) -> list[Cidr] | None:
        used = used_by(nodes) + self._reserved + [cidr for blocks in self._given.values() for cidr in blocks]
        blocks = [found for set_ in self._sets if (found := _block(set_, used, wanted))]
        return blocks if len(blocks) == len(self._sets) else None


def controller(network: Network) -> On:
    """The controller for an address plan; one worker, so that two Nodes never race for a block."""
    on = On("nodeipam", workers=1, component="cidrAllocator")
    on.reconcile(NODE)(NodeIpam(network).reconcile)
    return on
