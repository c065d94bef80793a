"""Who reaches whom: the traps of NetworkPolicy, each by hand."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.reach import Matrix, Reach, declared_ports, matrix
from tests.unit.dataplane.builders import NETWORK, labelled, make, node


def pod(name: str, namespace: str = "shop", *, app: str = "", ip: str = "", **spec: Any) -> Object:
    """A pod with the label `app`, its name unless said, that listens at 80 (`http`, TCP)."""
    ports = [{"name": "http", "containerPort": 80}]
    spec = {"containers": [{"name": "main", "ports": ports}], **spec}
    status = {"podIP": ip} if ip else {}
    return make("Pod", name, namespace, labels={"app": app or name}, spec=spec, status=status)


def policy(namespace: str = "shop", **spec: Any) -> Object:
    """A NetworkPolicy."""
    return make("NetworkPolicy", "p", namespace, spec=spec)


def space(name: str, **labels: str) -> Object:
    """A Namespace."""
    return make("Namespace", name, "", labels=labels)


def ingress(*peers: Object, app: str = "api", ports: list[Object] | None = None) -> Object:
    """Pods of one app let in what comes from the peers."""
    rule: Object = {"from": list(peers)} | ({"ports": ports} if ports else {})
    return policy(podSelector=labelled(app), ingress=[rule])


PODS = [
    pod("api"),
    pod("web"),
    pod("worker"),
    pod("web", "blog"),
    pod("worker", "blog"),
    space("shop", team="red"),
    space("blog", team="blue"),
]
TEAM_BLUE: Object = {"matchLabels": {"team": "blue"}}


def words(objects: list[Object], target: str, port: int | str = 80, protocol: str = "TCP") -> dict[str, str]:
    """`{source: word}` for one target."""
    found = matrix(objects, port=port, protocol=protocol)
    return {source: word for source, other, word in found.pairs() if other == target}


def allowed(objects: list[Object], target: str = "shop/api", port: int | str = 80, protocol: str = "TCP") -> set[str]:
    """The sources that reach a target."""
    return {source for source, word in words(objects, target, port, protocol).items() if word == "allow"}


ALL = {"shop/web", "shop/worker", "blog/web", "blog/worker"}


@pytest.mark.parametrize(
    ("peers", "expected"),
    [
        ([{"podSelector": labelled("web")}], {"shop/web"}),
        ([{"namespaceSelector": TEAM_BLUE}], {"blog/web", "blog/worker"}),
        ([{"namespaceSelector": TEAM_BLUE, "podSelector": labelled("web")}], {"blog/web"}),
        ([{"namespaceSelector": TEAM_BLUE}, {"podSelector": labelled("web")}], {"blog/web", "blog/worker", "shop/web"}),
        ([{"podSelector": {}}], {"shop/web", "shop/worker"}),
        ([{"namespaceSelector": {}}], ALL),
        ([{"namespaceSelector": {}, "podSelector": labelled("worker")}], {"shop/worker", "blog/worker"}),
        ([], ALL),
        ([{"podSelector": labelled("wbe")}], set()),
    ],
    ids=["pods", "namespace", "and", "or", "all here", "all", "all namespaces, one app", "no peers", "typo"],
)
def test_peers(peers: list[Object], expected: set[str]) -> None:
    """Selectors in one item must both match, items are alternatives, an empty one means all, no peers means all."""
    assert allowed([*PODS, ingress(*peers)]) == expected


def test_a_namespace_is_known_by_its_name() -> None:
    """The label kubernetes.io/metadata.name is there without being stated, on implied namespaces too."""
    by_name = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "blog"}}}
    objects = [obj for obj in PODS if obj["kind"] == "Pod"]
    assert allowed([*objects, ingress(by_name)]) == {"blog/web", "blog/worker"}


def test_default_deny_blocks_each_on_its_own_side() -> None:
    """Denied ingress is the target's side, denied egress the source's, both are both; a pod reaches itself."""
    objects = [pod("a"), pod("b", "open"), policy(podSelector={}, policyTypes=["Ingress", "Egress"])]
    found = matrix([*objects, pod("c")], port=80)
    assert found.pods == ("open/b", "shop/a", "shop/c")
    assert found.words == (
        ("self", "ingress", "ingress"),
        ("egress", "self", "both"),
        ("egress", "both", "self"),
    )


def test_an_empty_list_of_rules_allows_nothing_and_an_empty_rule_everything() -> None:
    """`ingress: []` isolates, `ingress: [{}]` lets all in."""
    assert allowed([*PODS, policy(podSelector=labelled("api"), ingress=[])]) == set()
    assert allowed([*PODS, policy(podSelector=labelled("api"), ingress=[{}])]) == ALL


def test_egress_counts_only_where_there_are_rules_or_it_is_named() -> None:
    """Without policyTypes a policy isolates for ingress, and for egress if it has egress rules."""
    closed = policy(podSelector=labelled("web"), egress=[])
    rules = policy(podSelector=labelled("web"), egress=[{"to": [{"podSelector": labelled("worker")}]}])
    assert words([*PODS, closed], "shop/api")["shop/web"] == "allow"
    assert words([*PODS, rules], "shop/api")["shop/web"] == "egress"
    assert words([*PODS, rules], "shop/worker")["shop/web"] == "allow"


def test_a_block_takes_pods_but_not_its_exceptions() -> None:
    """An ipBlock matches pods' addresses, and `except` takes some out again."""
    objects = [pod("api"), *(pod(f"c{n}", ip=f"10.244.1.{n}") for n in (10, 20, 30))]
    block = {"ipBlock": {"cidr": "10.244.1.0/27", "except": ["10.244.1.16/29"]}}
    assert allowed([*objects, ingress(block)]) == {"shop/c10", "shop/c30"}


def test_equal_pods_on_two_sides_of_a_block_are_told_apart() -> None:
    """Pods with the same labels have rows of their own where an ipBlock parts them."""
    objects = [pod("api"), pod("in", app="x", ip="10.244.1.10"), pod("out", app="x", ip="10.244.1.200")]
    assert allowed([*objects, ingress({"ipBlock": {"cidr": "10.244.1.0/28"}})]) == {"shop/in"}


@pytest.mark.parametrize(("port", "expected"), [(79, set()), (80, ALL), (85, ALL), (90, ALL), (91, set())])
def test_end_port_is_the_last_of_a_range(port: int, expected: set[str]) -> None:
    """A range has both its ends."""
    rule = ingress(ports=[{"port": 80, "endPort": 90}])
    assert allowed([*PODS, rule], port=port) == expected


def test_a_port_without_protocol_is_tcp() -> None:
    """UDP needs to be said; a port without a number is all of its protocol."""
    assert allowed([*PODS, ingress(ports=[{"port": 80}])], protocol="UDP") == set()
    assert allowed([*PODS, ingress(ports=[{"protocol": "UDP"}])], port=9, protocol="UDP") == ALL
    assert allowed([*PODS, ingress(ports=[{"protocol": "SCTP", "port": 9}])], port=9, protocol="SCTP") == ALL


def test_a_named_port_is_the_targets() -> None:
    """For ingress and egress the name means the number that the target's container gives it."""
    other = pod("other", containers=[{"name": "m", "ports": [{"name": "http", "containerPort": 8080}]}])
    leaving = policy(podSelector=labelled("web"), policyTypes=["Egress"], egress=[{"ports": [{"port": "http"}]}])
    objects = [*PODS, other, leaving]
    assert words(objects, "shop/other", 8080)["shop/web"] == "allow"
    assert words(objects, "shop/other", 80)["shop/web"] == "egress"
    assert words(objects, "shop/api", 80)["shop/web"] == "allow"


def test_asking_for_a_name_asks_each_target_at_its_own_number() -> None:
    """A target that has no such port is reached by nobody, and that is its side."""
    silent = pod("silent", containers=[])
    other = pod("other", containers=[{"name": "m", "ports": [{"name": "http", "containerPort": 8080}]}])
    found = [*PODS, silent, other, ingress(app="other", ports=[{"port": 8080}])]
    assert allowed(found, "shop/other", "http") >= ALL
    assert set(words(found, "shop/silent", "http").values()) == {"ingress"}


def test_host_network_pods_are_their_node() -> None:
    """They are not isolated, match no selector, are let in by their own pods' node, and elsewhere by address only."""
    objects = [
        pod("api", nodeName="node-1"),
        pod("far", nodeName="node-2"),
        pod("agent", app="web", hostNetwork=True, nodeName="node-1"),
        node(1),
        node(2),
        policy(podSelector={}, ingress=[{"from": [{"podSelector": labelled("web")}]}]),
    ]
    assert words(objects, "shop/api")["shop/agent"] == "allow"
    assert words(objects, "shop/far")["shop/agent"] == "ingress"
    assert set(words(objects, "shop/agent").values()) == {"allow"}
    by_address = policy(podSelector={}, ingress=[{"from": [{"ipBlock": {"cidr": "172.30.0.11/32"}}]}])
    assert words([*objects[:-1], by_address], "shop/far")["shop/agent"] == "allow"


def test_cluster_policies_come_first_or_last() -> None:
    """An Admin tier's rule overrules policies, a Baseline tier's holds where none isolates; sides are told apart."""

    def tier(name: str, direction: str, side: str, action: str) -> Object:
        rule = {"action": action, side: [{"namespaces": {}}]}
        subject = {"pods": {"namespaceSelector": {}, "podSelector": labelled("api")}}
        return make(
            "ClusterNetworkPolicy", "t", "", spec={"tier": name, "priority": 1, "subject": subject, direction: [rule]}
        )

    assert set(words([*PODS, tier("Admin", "ingress", "from", "Deny")], "shop/api").values()) == {"ingress"}
    assert set(words([*PODS, tier("Admin", "ingress", "from", "Accept"), ingress()], "shop/api").values()) == {"allow"}
    assert words([*PODS, tier("Admin", "egress", "to", "Deny")], "shop/web")["shop/api"] == "egress"
    baseline = tier("Baseline", "ingress", "from", "Deny")
    assert allowed([*PODS, baseline, ingress({"podSelector": labelled("web")})]) == {"shop/web"}
    assert allowed([*PODS, baseline]) == set()


def test_completed_pods_are_not_there() -> None:
    """A pod that has ended has no row, and its address may be another's."""
    ended = make("Pod", "job", "shop", spec={}, status={"podIP": "10.244.1.9", "phase": "Succeeded"})
    found = matrix([*PODS, ended, pod("new", ip="10.244.1.9")], port=80)
    assert "shop/job" not in found.pods
    assert "shop/new" in found.pods


def test_addresses_of_another_plan_are_taken_as_they_are() -> None:
    """Stated addresses outside of our ranges are pods' all the same, on one node and over two."""
    objects = [pod("api", ip="192.168.7.1", nodeName="a"), pod("web", ip="192.168.7.2", nodeName="b")]
    assert allowed([*objects, ingress({"podSelector": labelled("web")})]) == {"shop/web"}
    assert allowed([*objects, ingress({"ipBlock": {"cidr": "192.168.7.2/32"}})]) == {"shop/web"}
    assert allowed([*objects, ingress({"ipBlock": {"cidr": "172.30.0.0/24"}})]) == set()


def test_the_json_is_what_programs_rely_on() -> None:
    """The keys, the words and their order are fixed."""
    assert matrix([pod("a"), pod("b")], port="http").to_json() == {
        "port": "http",
        "protocol": "TCP",
        "pods": ["shop/a", "shop/b"],
        "matrix": [["self", "allow"], ["allow", "self"]],
    }


def test_protocols_without_ports_are_refused() -> None:
    """A matrix is about a port."""
    with pytest.raises(ValueError, match="ICMP"):
        matrix(PODS, port=80, protocol="ICMP")


def test_many_equal_pods_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of questions depends on the kinds of pods, not on their number."""
    asked: list[Any] = []
    original = Reach._word

    def counting(self: Reach, *arguments: Any) -> str:
        asked.append(arguments)
        return original(self, *arguments)

    monkeypatch.setattr(Reach, "_word", counting)
    found = matrix([pod(f"p{number}", app="x") for number in range(60)], port=80)
    assert isinstance(found, Matrix)
    assert len(found.pods) == 60
    assert len(asked) == 1


def test_declared_ports_are_worth_asking_for() -> None:
    """Each (port, protocol) that a container declares, once."""
    assert declared_ports(PODS) == [(80, "TCP")]


def test_a_live_cluster_needs_no_building() -> None:
    """`Reach` takes complete objects as they are."""
    objects = [node(1), pod("a", nodeName="node-1", ip="10.244.1.2"), pod("b", nodeName="node-1", ip="10.244.1.3")]
    assert Reach(objects, NETWORK).matrix(80).words == (("self", "allow"), ("allow", "self"))
