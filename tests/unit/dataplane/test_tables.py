"""A node's rules for people: one object's part, and all of it in words."""

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.offline_workloads import numbered
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.tables import TITLES, explained, of_policy, of_service
from tests.unit.dataplane.builders import NETWORK, make, seed, seed_policy, service


def _cluster() -> Cluster:
    return Cluster.from_objects([*seed(), seed_policy(), service("other", "10.96.0.21")], NETWORK)


def test_a_services_part_is_what_it_and_its_slices_make() -> None:
    """Nothing of another Service, and the chain that chooses among its backends."""
    cluster = _cluster()
    ruleset = cluster.machine("node-1").program.ruleset
    part = of_service(ruleset, cluster, Key("default", "api"))
    text = render(part)
    assert "10.96.0.20 . tcp . 80" in text
    assert "10.244.2.2 . 8000" in text
    assert "10.96.0.21" not in text
    assert [chain.name for chain in part.tables[0].chains] == ["pick-2"]


def test_a_policys_part_names_the_pods_behind_its_numbers() -> None:
    """What it allows is said by the pods' names."""
    cluster = _cluster()
    part = of_policy(cluster.machine("node-1").program.ruleset, Key("default", "api-policy"))
    lines = explained(part, cluster)
    allowing = next(line for line in lines if "spec.ingress[0].from[0]" in line)
    assert "[10.244.1.2 (Pod default/web-1)] 10.244.1.4 (Pod default/api-1) tcp 8000" in allowing
    assert not any("outsider" in line for line in lines)


def test_all_of_it_is_in_words() -> None:
    """Every set has a title or its name, every rule its reason; ranges that leave nothing out say so."""
    cluster = _cluster()
    ruleset = cluster.machine("node-1").program.ruleset
    lines = explained(ruleset, cluster)
    (table,) = ruleset.tables
    for item in table.sets:
        assert any(line.startswith(item.name) for line in lines)
    for chain in table.chains:
        assert all(any(str(rule.origin) in line for line in lines) for rule in chain.rules)
    assert f"services: {TITLES['services']}" in lines


def test_pods_of_workloads_are_numbered_like_manifests() -> None:
    """Random names become numbers; a pod that has such a name already keeps it."""

    def owned(name: str, kind: str, owner: str) -> Object:
        pod = make("Pod", name)
        pod["metadata"]["ownerReferences"] = [{"kind": kind, "name": owner, "controller": True}]
        return pod

    replica_set = make("ReplicaSet", "web-abc")
    replica_set["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": "web", "controller": True}]
    pods = [
        owned("web-abc-x", "ReplicaSet", "web-abc"),
        owned("web-abc-a", "ReplicaSet", "web-abc"),
        owned("db-7", "StatefulSet", "db"),
        make("Pod", "web-0"),
    ]
    names = [obj["metadata"]["name"] for obj in numbered([replica_set, *pods]) if obj["kind"] == "Pod"]
    assert names == ["web-2", "web-1", "db-7", "web-0"]
