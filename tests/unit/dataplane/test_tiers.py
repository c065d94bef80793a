"""Cluster-wide policies: order, tiers, who is meant, and what a trace says of them."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.explain import Cluster, Trace, trace
from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.tables import explained, of_policy
from tests.unit.dataplane.builders import DUAL, NETWORK, dual_seed, labelled, make, pod, policy, seed, seed_policy

API, WEB, OTHER = {"pods": {"podSelector": labelled("api")}}, labelled("web"), labelled("outsider")
PODS_OF_WEB = {"pods": {"namespaceSelector": {}, "podSelector": WEB}}
ALL: Object = {"namespaces": {}}


def tier(name: str, priority: int = 10, tier_name: str = "Admin", **spec: Any) -> Object:
    """A ClusterNetworkPolicy for the pods of api unless said otherwise."""
    return make(
        "ClusterNetworkPolicy", name, "", spec={"tier": tier_name, "priority": priority, "subject": API, **spec}
    )


def rule(action: str, *peers: Object, side: str = "from", **rest: Any) -> Object:
    """A rule for pods of everywhere, or for the peers."""
    return {"action": action, side: list(peers or (ALL,)), **rest}


def _trace(
    objects: list[Object], src: str = "pod/web-1", dst: str = "pod/api-2", port: int = 8000, *, udp: bool = False
) -> Trace:
    cluster = Cluster.from_objects([*seed(), *objects], NETWORK)
    return trace(cluster, src, dst, port, Protocol.UDP if udp else Protocol.TCP)


def _verdict(*objects: Object, **asked: Any) -> str:
    return _trace(list(objects), **asked).verdict


DENY_ALL = policy("deny-all", podSelector={}, policyTypes=["Ingress"])


@pytest.mark.parametrize(
    ("objects", "verdict"),
    [
        ([tier("a", ingress=[rule("Deny")])], "dropped"),
        ([tier("a", ingress=[rule("Accept")]), DENY_ALL], "delivered"),
        ([tier("a", ingress=[rule("Pass")]), DENY_ALL], "dropped"),
        ([tier("a", ingress=[rule("Pass")]), seed_policy()], "delivered"),
        ([tier("a", ingress=[rule("Deny")]), seed_policy()], "dropped"),
        ([tier("b", tier_name="Baseline", ingress=[rule("Deny")])], "dropped"),
        ([tier("b", tier_name="Baseline", ingress=[rule("Deny")]), seed_policy()], "delivered"),
        ([tier("b", tier_name="Baseline", ingress=[rule("Accept")]), DENY_ALL], "dropped"),
        ([tier("b", tier_name="Baseline", ingress=[rule("Pass"), rule("Deny")])], "delivered"),
        (
            [
                tier("a", ingress=[rule("Pass"), rule("Accept")]),
                tier("b", tier_name="Baseline", ingress=[rule("Deny")]),
            ],
            "dropped",
        ),
        ([tier("a", ingress=[]), DENY_ALL], "dropped"),
    ],
)
def test_admin_then_network_policies_then_baseline(objects: list[Object], verdict: str) -> None:
    """Admin's word is final unless it passes; a NetworkPolicy that selects the pod keeps Baseline out."""
    assert _verdict(*objects) == verdict


def test_the_first_rule_wins_and_the_lower_priority_number_comes_first() -> None:
    """Order within a policy, priority between policies, whatever their names."""
    assert _verdict(tier("a", ingress=[rule("Accept", PODS_OF_WEB), rule("Deny")])) == "delivered"
    assert _verdict(tier("a", ingress=[rule("Deny"), rule("Accept", PODS_OF_WEB)])) == "dropped"
    first, second = tier("z", 1, ingress=[rule("Accept")]), tier("a", 2, ingress=[rule("Deny")])
    assert _verdict(first, second) == _verdict(second, first) == "delivered"


def test_only_the_ports_that_a_rule_names() -> None:
    """Numbers, ranges, whole protocols; a rule for TCP says nothing of UDP."""
    rules = [
        rule("Deny", protocols=[{"tcp": {"destinationPort": {"number": 8000}}}]),
        rule("Accept", protocols=[{"tcp": {"destinationPort": {"range": {"start": 7999, "end": 8001}}}}]),
        rule("Deny", protocols=[{"udp": {}}]),
    ]
    objects = [tier("a", ingress=rules)]
    answers = [_verdict(*objects, port=port) for port in (7998, 7999, 8000, 8001)]
    assert answers == ["delivered", "delivered", "dropped", "delivered"]
    assert _verdict(*objects, udp=True) == "dropped"


def test_a_named_port_is_the_targets_in_whichever_protocol() -> None:
    """For ingress the subject's port, for egress the peer's."""
    named = [{"name": "main", "ports": [{"name": "dns", "containerPort": 5353, "protocol": "UDP"}]}]
    target = pod("named-1", "10.244.2.9", containers=named)
    wanted = [{"destinationNamedPort": "dns"}]
    here = {"pods": {"podSelector": labelled("named")}}
    into = tier("a", subject=here, ingress=[rule("Deny", protocols=wanted)])
    out = tier("a", subject=PODS_OF_WEB, egress=[rule("Deny", side="to", protocols=wanted)])
    for one in (into, out):
        asked = {"dst": "pod/named-1", "port": 5353}
        assert [_verdict(target, one, udp=udp, **asked) for udp in (True, False)] == ["dropped", "delivered"]


def test_labels_and_addresses_are_one_list_of_rules() -> None:
    """An address rule before a label rule wins at its addresses, one after it everywhere else."""
    subject = PODS_OF_WEB

    def answers(*rules: Object) -> list[str]:
        policies = [tier("a", subject=subject, egress=list(rules))]
        return [_verdict(*policies, dst=dst) for dst in ("pod/api-1", "pod/api-2", "203.0.113.9")]

    node_1, everywhere = {"networks": ["10.244.1.0/24"]}, {"networks": ["0.0.0.0/0"]}
    accept, deny = rule("Accept", side="to"), rule("Deny", everywhere, side="to")
    assert answers(accept, deny) == ["delivered", "delivered", "dropped"]
    assert answers(rule("Deny", node_1, side="to"), accept, deny) == ["dropped", "delivered", "dropped"]
    assert answers(deny, accept) == ["dropped", "dropped", "dropped"]


def test_nodes_are_meant_by_their_labels() -> None:
    """A pod may be kept from other nodes, but never from its own."""
    deny = tier("a", subject=PODS_OF_WEB, egress=[rule("Deny", {"nodes": {}}, side="to")])
    some = tier("a", subject=PODS_OF_WEB, egress=[rule("Deny", {"nodes": labelled("x")}, side="to")])
    assert _verdict(deny, dst="node/node-2") == "dropped"
    assert _verdict(some, dst="node/node-2") == "delivered"
    assert _verdict(deny, dst="node/node-1") == "delivered"


@pytest.mark.parametrize(("action", "verdict"), [("Accept", "dropped"), ("Pass", "dropped"), ("Deny", "dropped")])
def test_a_peer_that_nobody_knows_fails_closed(action: str, verdict: str) -> None:
    """Accept then matches nothing; Deny and Pass deny everything, outside clients included."""
    odd = tier("a", ingress=[rule(action, {"moons": {}})])
    assert _verdict(odd, DENY_ALL) == verdict
    assert _verdict(odd, src="external") == ("delivered" if action == "Accept" else "dropped")


def test_a_pod_reaches_itself_and_its_node_reaches_it() -> None:
    """Neither is a matter of policies, of whatever kind."""
    deny = tier("a", ingress=[rule("Deny")], egress=[rule("Deny", side="to")])
    assert _verdict(deny, src="pod/api-1", dst="pod/api-1") == "delivered"
    assert _verdict(deny, src="node/node-2", dst="pod/api-2") == "delivered"


def test_the_forerunners_are_the_two_tiers() -> None:
    """AdminNetworkPolicy comes before NetworkPolicies, BaselineAdminNetworkPolicy after; Allow is Accept."""

    def old(kind: str, action: str, *ports: Object) -> Object:
        rest: dict[str, Any] = {"ports": list(ports)} if ports else {}
        return make(kind, "default", "", spec={"priority": 5, "subject": API, "ingress": [rule(action, **rest)]})

    port = {"portNumber": {"protocol": "TCP", "port": 8000}}
    ends = {"portRange": {"protocol": "TCP", "start": 9000, "end": 9010}}
    assert _verdict(old("AdminNetworkPolicy", "Allow"), DENY_ALL) == "delivered"
    assert _verdict(old("BaselineAdminNetworkPolicy", "Deny")) == "dropped"
    assert _verdict(old("BaselineAdminNetworkPolicy", "Deny"), seed_policy()) == "delivered"
    narrow = old("AdminNetworkPolicy", "Deny", port, ends)
    assert [_verdict(narrow, port=number) for number in (8000, 8001, 9005)] == ["dropped", "delivered", "dropped"]


def _said(result: Trace, stage: str = "policy") -> list[tuple[str, str, str, str]]:
    return [(hop.object, hop.field, hop.verdict, hop.text) for hop in result.hops if hop.stage == stage]


def test_a_trace_names_the_rule_of_the_tier() -> None:
    """Object and field of the rule that decided, and of the one that passed on."""
    web = "TCP 8000 from Pod default/web-1 (app=web)"
    name = "ClusterNetworkPolicy a"
    denied = _said(_trace([tier("a", ingress=[rule("Deny", PODS_OF_WEB)])]))
    assert denied[-1][:3] == (name, "spec.ingress[0].from[0]", "drop")
    assert denied[-1][3].startswith(f"the Admin tier denies {web}. No NetworkPolicy can allow it")
    passed = _said(_trace([tier("a", ingress=[rule("Pass")]), seed_policy()]))
    assert (name, "spec.ingress[0].from[0]", "", f"the Admin tier passes {web} on to the NetworkPolicies") in passed
    assert passed[-1][:3] == ("NetworkPolicy default/api-policy", "spec.ingress[0].from[0]", "accept")
    free = _said(_trace([tier("a", ingress=[rule("Deny", {"pods": {"podSelector": OTHER}})])]))
    assert free[-1][3] == (
        "no rule of ClusterNetworkPolicy a matches and no NetworkPolicy selects Pod default/api-2 for ingress,"
        " so anybody may reach it"
    )


def test_tables_name_the_pods_of_a_range_of_groups() -> None:
    """A rule for all pods is one element, and is shown with all of them."""
    deny = tier("a", ingress=[rule("Deny")])
    cluster = Cluster.from_objects([*seed(), deny], NETWORK)
    ruleset = cluster.machine("node-1").program.ruleset
    assert len(ruleset.tables[0].set("admin-ingress-groups").elements) == 1
    (line,) = [line for line in explained(ruleset, cluster) if "ClusterNetworkPolicy a spec.ingress[0].from[0]" in line]
    assert all(name in line for name in ("web-1", "outsider", "api-2", "database-1", "drop"))
    (part,) = of_policy(ruleset, Key("", "a")).tables
    assert len(part.set("pod-groups").elements) == 5


def test_networks_mean_their_own_family() -> None:
    """`::/0` denies IPv6 only, and a trace follows the family of the address that is asked for."""
    deny = tier("a", subject=PODS_OF_WEB, egress=[rule("Deny", {"networks": ["::/0"]}, side="to")])
    cluster = Cluster.from_objects(dual_seed(deny), DUAL)
    assert trace(cluster, "pod/web-1", "10.96.0.20", 80).verdict == "delivered"
    assert trace(cluster, "pod/web-1", "fd00:96::20", 80).verdict == "dropped"
