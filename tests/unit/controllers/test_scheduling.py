"""Where a pod may run, where it should, what is said when it fits nowhere, and who has to go for it."""

from typing import Any

import pytest

from controllers.scheduler.demand import Demand, requests_of
from controllers.scheduler.filters import search
from controllers.scheduler.nodes import View
from controllers.scheduler.preemption import failure, ineligible, plan
from controllers.scheduler.refusal import Refusal, summary
from controllers.scheduler.scores import best
from miniplane.api.kind import Object
from miniplane.runtime import Change


def node(name: str = "a", *, cpu: str = "2", pods: str = "110", zone: str = "", **spec: Any) -> Object:
    """A Node with room."""
    allocatable = {"cpu": cpu, "memory": "4Gi", "pods": pods, "example.com/gpu": "1"}
    labels = {"kubernetes.io/hostname": name} | ({"zone": zone} if zone else {})
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str = "p", *, on: str = "", cpu: str = "0", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A pod with one container."""
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": [container], "nodeName": on, **spec}}


def view(*objects: Object) -> View:
    """The picture of Nodes and pods; a pod has containers."""
    made = View()
    for obj in objects:
        take = made.take_pod if "containers" in obj["spec"] else made.take_node
        take(Change(None, obj))
    return made


def fits(what: Object, *objects: Object) -> list[str]:
    """The nodes where a pod may run."""
    return sorted(info.name for info in search(Demand.of(what), view(*objects)).feasible)


def reasons(what: Object, *objects: Object) -> dict[str, tuple[str, ...]]:
    """Why not, by node."""
    found = search(Demand.of(what), view(*objects)).refusals
    return {name: refusal.reasons for name, refusal in found.items()}


def choice(what: Object, *objects: Object) -> str:
    """The node that a pod gets."""
    world, demand = view(*objects), Demand.of(what)
    return best(demand, search(demand, world).feasible, world).name


GPU_TAINT = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("where", "what", "reason"),
    [
        (node(), pod(cpu="1500m"), ()),
        (node(), pod(cpu="2500m"), ("Insufficient cpu",)),
        (node(pods="0"), pod(cpu="3"), ("Too many pods", "Insufficient cpu")),
        (node(unschedulable=True), pod(), ("node(s) were unschedulable",)),
        (node(taints=GPU_TAINT), pod(), ("node(s) had untolerated taint {gpu: yes}",)),
        (node(taints=GPU_TAINT), pod(tolerations=[{"key": "gpu", "operator": "Exists"}]), ()),
        (node(), pod(nodeSelector={"disk": "ssd"}), ("node(s) didn't match Pod's node affinity/selector",)),
        (node(), pod(nodeSelector={"kubernetes.io/hostname": "a"}), ()),
    ],
)
def test_filters(where: Object, what: Object, reason: tuple[str, ...]) -> None:
    """Each filter refuses with upstream's words, and only when it must."""
    assert reasons(what, where).get("a", ()) == reason


def test_extended_resources_count() -> None:
    """Any resource that a node offers is counted, not only CPU and memory."""
    asking = pod("new")
    asking["spec"]["containers"][0]["resources"]["requests"] = {"example.com/gpu": "1"}
    taken = pod("old", on="a")
    taken["spec"]["containers"][0]["resources"]["requests"] = {"example.com/gpu": "1"}
    assert fits(asking, node()) == ["a"]
    assert reasons(asking, node(), taken) == {"a": ("Insufficient example.com/gpu",)}


def test_init_containers_and_sidecars_count_as_upstream() -> None:
    """The larger of all that runs at once and of any init container with the sidecars before it, plus overhead."""

    def container(cpu: str, **more: str) -> Object:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec: Object = {
        "containers": [container("1"), container("1")],
        "initContainers": [container("2"), container("500m", restartPolicy="Always"), container("4")],
        "overhead": {"cpu": "100m"},
    }
    assert requests_of({"spec": spec}) == {"cpu": 4600}
    assert requests_of({"spec": spec | {"initContainers": spec["initContainers"][:2]}}) == {"cpu": 2600}


def hosting(name: str, protocol: str, address: str = "", on: str = "") -> Object:
    """A pod with host port 80."""
    made = pod(name, on=on)
    port = {"containerPort": 80, "hostPort": 80, "protocol": protocol, "hostIP": address}
    made["spec"]["containers"][0]["ports"] = [port]
    return made


@pytest.mark.parametrize(
    ("protocol", "address", "free"),
    [("TCP", "", False), ("UDP", "", True), ("TCP", "10.0.0.1", False)],
)
def test_host_ports_clash(protocol: str, address: str, *, free: bool) -> None:
    """A host port is taken once per node, protocol and address, and the wildcard takes every address."""
    assert bool(fits(hosting("two", protocol, address), node(), hosting("one", "TCP", on="a"))) is free


def test_host_ports_of_different_addresses_do_not_clash() -> None:
    """Two addresses of a node have a port each."""
    taken = hosting("one", "TCP", "10.0.0.2", on="a")
    assert fits(hosting("two", "TCP", "10.0.0.1"), node(), taken) == ["a"]


def test_a_pod_that_leaves_gives_its_room_back() -> None:
    """Ended, deleted or forgotten: what it asked for is free again; a change of its status alone is none."""
    big, world = pod("big", on="a", cpu="2", labels={"app": "x"}), view(node())
    world.take_pod(Change(None, big))
    running = big | {"status": {"phase": "Running"}}
    world.take_pod(Change(big, running))
    demand = Demand.of(pod("next", cpu="1"))
    assert not search(demand, world).feasible
    world.take_pod(Change(running, running | {"status": {"phase": "Succeeded"}}))
    assert search(demand, world).feasible
    world.take_pod(Change(running, None))
    world.assume(Demand.of(pod("mine", cpu="2")), "a")
    assert not search(demand, world).feasible
    world.forget("mine")
    assert search(demand, world).feasible


def spreading(when: str = "DoNotSchedule", **more: Any) -> Object:
    """A pod that wants to be even over zones."""
    constraint = {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "w"}},
        **more,
    }
    return pod("new", labels={"app": "w"}, topologySpreadConstraints=[constraint])


def test_topology_spread() -> None:
    """A zone that is ahead by more than the skew is refused, a node without the label too; the rest is allowed."""
    nodes = [node("a", zone="x"), node("b", zone="y"), node("c")]
    placed = [pod("1", on="a", labels={"app": "w"}), pod("2", on="a", labels={"app": "other"})]
    assert fits(spreading(), *nodes, *placed) == ["b"]
    assert reasons(spreading(), *nodes, *placed) == {
        "a": ("node(s) didn't match pod topology spread constraints",),
        "c": ("node(s) didn't match pod topology spread constraints (missing required label)",),
    }


def test_topology_spread_counts_too_few_domains_as_empty_ones() -> None:
    """With `minDomains` above the zones that exist the least counted is nothing, so no zone gets a second pod."""
    nodes = [node("a", zone="x"), node("b", zone="y")]
    placed = [pod("1", on="a", labels={"app": "w"}), pod("2", on="b", labels={"app": "w"})]
    assert fits(spreading(), *nodes, *placed) == ["a", "b"]
    assert fits(spreading(minDomains=3), *nodes, *placed) == []


def test_soft_spread_is_a_wish() -> None:
    """ScheduleAnyway refuses nothing and prefers the emptier zone."""
    nodes = [node("a", zone="x"), node("b", zone="y")]
    placed = [pod("1", on="a", labels={"app": "w", "x": "1"})]
    assert fits(spreading("ScheduleAnyway"), *nodes, *placed) == ["a", "b"]
    assert choice(spreading("ScheduleAnyway"), *nodes, *placed) == "b"


def near(kind: str, app: str = "db", **more: Any) -> Object:
    """A pod affinity or anti-affinity term by zone."""
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}, **more}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


ZONES = (node("a", zone="x"), node("b", zone="y"))
DB = pod("db", on="a", labels={"app": "db"})


def test_pod_affinity() -> None:
    """Near the pods that it names, in the namespaces that it says; the first of its own kind may go anywhere."""
    assert fits(pod(affinity=near("podAffinity")), *ZONES, DB) == ["a"]
    assert reasons(pod(affinity=near("podAffinity")), *ZONES)["b"] == ("node(s) didn't match pod affinity rules",)
    assert fits(pod(affinity=near("podAffinity", namespaces=["other"])), *ZONES, DB) == []
    assert fits(pod(affinity=near("podAffinity", namespaceSelector={})), *ZONES, DB) == ["a"]
    assert fits(pod(labels={"app": "db"}, affinity=near("podAffinity")), *ZONES) == ["a", "b"]


def test_namespaces_are_selected_by_their_labels() -> None:
    """A term's namespaceSelector looks at what Namespaces are labelled."""
    world = view(*ZONES, DB)
    world.take_namespace(Change(None, {"metadata": {"name": "default", "labels": {"team": "blue"}}}))
    for team, wanted in (("blue", ["a"]), ("red", [])):
        asking = pod(affinity=near("podAffinity", namespaceSelector={"matchLabels": {"team": team}}))
        assert [info.name for info in search(Demand.of(asking), world).feasible] == wanted


def test_pod_anti_affinity_holds_in_both_directions() -> None:
    """Away from what it names, and away from those who do not want it."""
    assert fits(pod(affinity=near("podAntiAffinity")), *ZONES, DB) == ["b"]
    lonely = pod("lonely", on="a", affinity=near("podAntiAffinity", "web"))
    assert reasons(pod(labels={"app": "web"}), *ZONES, lonely) == {
        "a": ("node(s) didn't satisfy existing pods anti-affinity rules",)
    }


def test_preferred_affinities_decide_between_equals() -> None:
    """Preferred nodes, preferred company and PreferNoSchedule taints each tip the balance."""
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}
    company = [{"weight": 50, "podAffinityTerm": term}]
    close = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": company}}
    away = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": company}}
    db = pod("db", on="b", labels={"app": "db"})
    assert choice(pod(affinity=close), *ZONES, db) == "b"
    assert choice(pod(affinity=away), *ZONES, db) == "a"
    prefers = [{"key": "zone", "operator": "In", "values": ["y"]}]
    wish = [{"weight": 1, "preference": {"matchExpressions": prefers}}]
    wanting = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wish}})
    assert choice(wanting, *ZONES) == "b"
    disliked = node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert choice(pod(), disliked, node("b")) == "b"


def test_a_pod_that_names_its_node_is_looked_up_there_only() -> None:
    """A DaemonSet's pod, which names its node by a field, fits there and nowhere else."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert fits(pod(affinity={"nodeAffinity": required}), *ZONES) == ["b"]


def test_siblings_spread() -> None:
    """Pods alike go to different nodes, also when one of them is only assumed to be bound."""
    labels = {"app": "api"}
    world = view(node("a"), node("b"), node("c"), pod("1", on="a", labels=labels))
    world.assume(Demand.of(pod("2", labels=labels)), "b")
    demand = Demand.of(pod("3", labels=labels))
    assert best(demand, search(demand, world).feasible, world).name == "c"


def test_emptier_node_wins() -> None:
    """Without siblings the node with the larger free share is chosen, ties by name."""
    assert choice(pod("2", cpu="100m"), node("a"), node("b"), pod("1", on="a", cpu="1")) == "b"
    assert choice(pod("2", cpu="100m"), node("a"), node("b")) == "a"


def test_failure_message() -> None:
    """Reasons are counted over the nodes, as `kubectl describe` shows them."""
    refusals = [Refusal("Insufficient cpu"), Refusal("Insufficient cpu", "Too many pods"), Refusal("Too many pods")]
    assert summary(3, refusals) == "0/3 nodes are available: 2 Insufficient cpu, 2 Too many pods."
    assert summary(0, []) == "no nodes available to schedule pods"


def ranked(name: str, priority: int, *, on: str = "", cpu: str = "1", **more: Any) -> Object:
    """A pod with a priority."""
    return pod(name, on=on, cpu=cpu, priority=priority, **more)


def preempt(what: Object, *objects: Object, budgets: Any = ()) -> tuple[str, list[str]] | None:
    """Where room is made, and who goes."""
    world, demand = view(*objects), Demand.of(what)
    found = plan(demand, world, search(demand, world).refusals, budgets)
    return (found.node, sorted(victim.uid for victim in found.victims)) if found else None


def test_preemption_ends_as_few_and_as_unimportant_pods_as_it_can() -> None:
    """Only lower priorities go, the least important first, and those that fit beside the newcomer stay."""
    on_a = [ranked("low", 1, on="a", cpu="1"), ranked("tiny", 0, on="a", cpu="100m")]
    on_b = [ranked("mid", 5, on="b", cpu="2")]
    assert preempt(ranked("new", 9, cpu="1900m"), node("a"), node("b"), *on_a, *on_b) == ("a", ["low"])
    assert preempt(ranked("new", 1, cpu="1900m"), node("a"), node("b"), *on_a, *on_b) is None


def test_preemption_spares_what_a_budget_protects() -> None:
    """A node without violations is chosen even if its victims are more important."""
    budget = {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "db"}}},
        "status": {"disruptionsAllowed": 0},
    }
    on_a = ranked("db", 1, on="a", cpu="2", labels={"app": "db"})
    on_b = ranked("web", 5, on="b", cpu="2", labels={"app": "web"})
    newcomer = ranked("new", 9, cpu="2")
    assert preempt(newcomer, node("a"), node("b"), on_a, on_b) == ("a", ["db"])
    assert preempt(newcomer, node("a"), node("b"), on_a, on_b, budgets=[budget]) == ("b", ["web"])


def test_preemption_leaves_the_view_as_it_was() -> None:
    """Trying who could go moves nobody, assumed pods included."""
    world = view(node("a"))
    world.assume(Demand.of(ranked("old", 0, cpu="2")), "a")
    demand = Demand.of(ranked("new", 9, cpu="2"))
    assert plan(demand, world, search(demand, world).refusals, ()) is not None
    assert world.is_assumed("old")
    assert not search(demand, world).feasible


def test_room_that_is_made_is_kept_for_its_pod() -> None:
    """A pod of lower priority may not slip into what was freed for a nominated one; a higher one may."""
    world = view(node("a"))
    world.take_pod(Change(None, ranked("winner", 5, cpu="2") | {"status": {"nominatedNodeName": "a"}}))
    assert not search(Demand.of(ranked("low", 1)), world).feasible
    assert search(Demand.of(ranked("high", 9)), world).feasible
    assert search(Demand.of(ranked("winner", 5, cpu="2")), world).feasible


def test_why_preemption_does_not_help() -> None:
    """The sentence tells nodes that no eviction could open from those without victims; Never is said at once."""
    world, demand = view(node("a"), node("b", unschedulable=True)), Demand.of(ranked("new", 9, cpu="2"))
    world.take_pod(Change(None, ranked("equal", 9, on="a", cpu="1")))
    refusals = search(demand, world).refusals
    assert plan(demand, world, refusals, ()) is None
    assert failure(refusals) == (
        "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )
    assert ineligible(Demand.of(ranked("new", 9, preemptionPolicy="Never")), world).endswith("=Never.")
