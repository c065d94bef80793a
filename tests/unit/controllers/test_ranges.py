"""Blocks for nodes and addresses for load balancers: each given once, free again, exhausted with a reason."""

from ipaddress import ip_address, ip_network

import pytest

from controllers.loadbalancer import announcer, choose
from controllers.nodeipam import CidrSet, sets_of, wishes
from miniplane.api.wellknown import POD_RANGES
from miniplane.config import Network


def test_blocks_go_round() -> None:
    """The next block after the last one is given; a freed one only after a full turn."""
    blocks = CidrSet(ip_network("10.0.0.0/22"), 24)
    first = [blocks.next([]) for _ in range(2)]
    assert [str(block) for block in first] == ["10.0.0.0/24", "10.0.1.0/24"]
    assert str(blocks.next([ip_network("10.0.1.0/24")])) == "10.0.2.0/24"
    assert str(blocks.next([ip_network("10.0.1.0/24")])) == "10.0.3.0/24"
    assert str(blocks.next([ip_network("10.0.1.0/24")])) == "10.0.0.0/24"


def test_blocks_run_out() -> None:
    """A full range gives None; a /24 range with /24 blocks is one node."""
    blocks = CidrSet(ip_network("10.0.0.0/24"), 24)
    assert str(blocks.next([])) == "10.0.0.0/24"
    assert blocks.next([ip_network("10.0.0.0/24")]) is None


@pytest.mark.parametrize(
    ("occupied", "free"),
    [("10.0.0.0/23", {"10.0.2.0/24", "10.0.3.0/24"}), ("10.0.1.128/25", {"10.0.0.0/24", "10.0.2.0/24", "10.0.3.0/24"})],
)
def test_wider_and_narrower_ranges_occupy_what_they_overlap(occupied: str, free: set[str]) -> None:
    """A service range or an odd node range takes every block that it touches."""
    blocks, used = CidrSet(ip_network("10.0.0.0/22"), 24), [ip_network(occupied)]
    given = set()
    while block := blocks.next(used):
        given.add(str(block))
        used.append(block)
    assert given == free


def test_impossible_masks_are_refused() -> None:
    """A node mask wider than the range, or more than 16 bits longer, is an error at start."""
    with pytest.raises(ValueError, match="node_cidr_mask"):
        sets_of(Network(pod_cidrs=("10.0.0.0/25",), node_cidr_mask=24))


def test_addresses_of_a_pool() -> None:
    """Lowest free first, .0 and .255 never, a wish only if free and inside, a full pool says so."""
    assert choose("192.0.2.0/29", []) == ip_address("192.0.2.1")
    assert choose("192.0.2.0/29", ["192.0.2.1"], "192.0.2.5") == ip_address("192.0.2.5")
    assert choose("192.0.2.0/29", ["192.0.2.5"], "192.0.2.5") == "192.0.2.5 is in use"
    assert choose("192.0.2.0/29", [], "192.0.3.1") == "192.0.3.1 is not in the pool 192.0.2.0/29"
    full = [f"192.0.2.{number}" for number in range(1, 8)]
    assert choose("192.0.2.0/29", full) == "no available IPs in the pool 192.0.2.0/29"


def test_an_address_is_announced_by_a_ready_node() -> None:
    """The same nodes give the same announcer; a node that is not ready is none."""

    def node(name: str, status: str) -> dict[str, object]:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}

    nodes = [node("b", "True"), node("a", "True"), node("c", "False")]
    chosen = {announcer(f"192.0.2.{number}", nodes) for number in range(1, 9)}
    assert chosen == {"a", "b"}
    assert announcer("192.0.2.1", list(reversed(nodes))) == announcer("192.0.2.1", nodes)
    assert announcer("192.0.2.1", [node("c", "False")]) == ""


def test_a_node_that_is_back_gets_its_old_block_only_where_that_is_free() -> None:
    """A wish is granted for a free block of the range, never for another's, part of one, or what is no pod range."""
    (pods,) = sets_of(Network())
    free, taken = ip_network("10.244.5.0/24"), ip_network("10.244.6.0/24")
    assert pods.claim(free, [taken]) == free
    for text in ("10.244.6.0/24", "10.244.5.0/25", "10.244.4.0/23", "10.96.0.0/24", "0.0.0.0/0", "fd00::/64"):
        assert pods.claim(ip_network(text), [taken]) is None
    assert wishes({"metadata": {"annotations": {POD_RANGES: "10.244.5.0/24,nonsense"}}}) == [free]
