"""IPv6 and dual stack: each family has its own table, and what an object has in one says nothing of the other."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.parties import Parties, in_one_family
from tests.unit.dataplane.builders import DUAL, dual_seed, labelled, make, node, policy, seed_policy, six

WEB, OUTSIDER, API_1, API_2 = "10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.2.2"
SIX = Network(pod_cidrs=("fd00:244::/32",), service_cidrs=("fd00:96::/112",))


def _ends(objects: list[Object], src: str, dst: str, port: int = 8000, network: Network = DUAL) -> list[str]:
    """`source → target` of every way as it ends, or the verdict."""
    packet = Packet.of(src, dst, dport=port)
    paths = Cluster.from_objects(objects, network).paths(packet, "node-1", Entry.FORWARD, Source.POD)
    return sorted(
        f"{path.packet.src} → {path.packet.dst}" if path.verdict is Verdict.ACCEPT else str(path.verdict)
        for path in paths
    )


def test_a_service_leads_to_endpoints_of_the_family_that_is_asked_in() -> None:
    """Two ClusterIPs, two slices, no crossing."""
    assert _ends(dual_seed(), WEB, "10.96.0.20", 80) == [f"{WEB} → {API_1}", f"{WEB} → {API_2}"]
    assert _ends(dual_seed(), six(WEB), "fd00:96::20", 80) == [f"{six(WEB)} → {six(to)}" for to in (API_1, API_2)]


def test_a_family_without_endpoints_rejects() -> None:
    """Endpoints of the other family do not count."""
    objects = [item for item in dual_seed() if item.get("addressType") != "IPv6"]
    assert _ends(objects, six(WEB), "fd00:96::20", 80) == ["reject"]
    assert _ends(objects, WEB, "10.96.0.20", 80) == [f"{WEB} → {API_1}", f"{WEB} → {API_2}"]


def test_an_unknown_service_address_is_dropped_and_an_unknown_port_rejected() -> None:
    """As in IPv4."""
    assert _ends(dual_seed(), six(WEB), "fd00:96::99", 80) == ["drop"]
    assert _ends(dual_seed(), six(WEB), "fd00:96::20", 81) == ["reject"]


def test_masquerading_takes_the_nodes_address_of_the_family() -> None:
    """Clients outside, hairpins, and pods that leave the cluster."""
    assert _ends(dual_seed(), "2001:db8::7", "fd00:96::20", 80) == [f"fd00:30::1 → {six(to)}" for to in (API_1, API_2)]
    assert f"fd00:30::1 → {six(API_1)}" in _ends(dual_seed(), six(API_1), "fd00:96::20", 80)
    assert _ends(dual_seed(), six(WEB), "2001:db8::7") == ["fd00:30::1 → 2001:db8::7"]


def test_selectors_mean_both_families() -> None:
    """A policy by labels holds in IPv6 as it does in IPv4."""
    objects = dual_seed(seed_policy())
    for of in (str, six):
        assert _ends(objects, of(WEB), of(API_1)) == [f"{of(WEB)} → {of(API_1)}"]
        assert _ends(objects, of(OUTSIDER), of(API_1)) == ["drop"]


@pytest.mark.parametrize(
    ("block", "allowed"),
    [
        ({"cidr": "0.0.0.0/0"}, "4"),
        ({"cidr": "::/0"}, "6"),
        ({"cidr": "::/0", "except": ["fd00:244:1::/64"]}, ""),
        ({"cidr": "fd00:0244:0001:0::0/64"}, "6"),
        ({"cidr": "::ffff:10.244.0.0/112"}, ""),
    ],
)
def test_a_block_means_its_own_family(block: dict[str, Any], allowed: str) -> None:
    """`0.0.0.0/0` allows no IPv6 packet, `::/0` no IPv4 one, however it is written."""
    rule = {"from": [{"ipBlock": block}]}
    objects = dual_seed(policy("p", podSelector=labelled("api"), ingress=[rule]))
    assert _ends(objects, WEB, API_1) == ([f"{WEB} → {API_1}"] if allowed == "4" else ["drop"])
    assert _ends(objects, six(WEB), six(API_1)) == ([f"{six(WEB)} → {six(API_1)}"] if allowed == "6" else ["drop"])


def test_a_rule_without_peers_means_everyone_in_both_families() -> None:
    """An empty rule is no IPv4 rule."""
    objects = dual_seed(policy("p", podSelector=labelled("api"), ingress=[{"ports": [{"port": 8000}]}]))
    for of in (str, six):
        assert _ends(objects, of(WEB), of(API_1)) == [f"{of(WEB)} → {of(API_1)}"]
        assert _ends(objects, of(WEB), of(API_1), 8001) == ["drop"]


def test_a_cluster_of_ipv6_only_has_one_table() -> None:
    """No IPv4 table is made, and packets pass."""
    cluster = Cluster.from_objects(dual_seed(), SIX)
    assert [table.family for table in cluster.machine("node-1").program.ruleset.tables] == ["ip6"]
    assert len(_ends(dual_seed(), six(WEB), "fd00:96::20", 80, SIX)) == 2


def test_addresses_of_ours_that_nobody_has_lead_nowhere() -> None:
    """A pod's address on another node goes there; one of no node is not outside."""
    cluster = Cluster.from_objects(dual_seed(), DUAL)
    hops = {
        text: str(cluster.machine("node-1").program.routes.lookup(Packet.of(text, text).dst).kind)
        for text in (six(WEB), "fd00:244:1::99", six(API_2), "fd00:244:9::1", "fd00:30::1", "fd00:30::2", "2001:db8::1")
    }
    assert list(hops.values()) == ["pod", "none", "peer", "none", "node", "peer", "external"]


def test_two_ends_talk_in_a_family_that_both_have() -> None:
    """The source's first one if possible; a named address is kept; without any in common there is no way."""
    only_six = make("Service", "six", spec={"clusterIP": "fd00:96::30", "ports": [{"port": 80}]})
    lonely = make("Service", "old", spec={"clusterIP": "10.96.0.30", "ports": [{"port": 80}]})
    parties = Parties(Cluster.from_objects([*dual_seed(), only_six, lonely, node(3)], DUAL))

    def meet(src: str, dst: str) -> list[str]:
        return [str(party.address) for party in in_one_family(parties.find(src), parties.find(dst))]

    assert meet("pod/web-1", "svc/api") == [WEB, "10.96.0.20"]
    assert meet("pod/web-1", "svc/six") == [six(WEB), "fd00:96::30"]
    assert meet(six(WEB), "svc/api") == [six(WEB), "fd00:96::20"]
    assert meet("external", "svc/six") == ["2001:db8::1", "fd00:96::30"]
    assert meet(six(WEB), "svc/old") == [six(WEB), "None"]
    assert meet("node/node-3", "svc/six")[1] == "None"
