"""Manifests become the world that a cluster would make of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from miniplane.api.kind import Object
from miniplane.api.meta import clone
from miniplane.config import Network
from miniplane.dataplane import offline, offline_addons
from miniplane.dataplane.offline_workloads import numbered
from miniplane.dataplane.reach import matrix
from tests.unit.dataplane.builders import labelled, make


def world(*objects: Object, addons: bool = False) -> dict[str, dict[str, Object]]:
    """`{kind: {namespace/name or name: object}}`."""
    found: dict[str, dict[str, Object]] = {}
    for obj in offline.build(objects, addons=addons).objects:
        metadata = obj["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]
        found.setdefault(obj["kind"], {})[name] = obj
    return found


def workload(kind: str, name: str, replicas: int | None = None, **spec: Any) -> Object:
    """A workload whose pods have the label `app` and listen at `http`."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8000}]}]},
    }
    count = {} if replicas is None else {"replicas": replicas}
    return make(kind, name, spec={"selector": labelled(name), "template": template, **count, **spec})


def test_workloads_become_pods() -> None:
    """Deployments and StatefulSets have their number of pods, numbered from 0; DaemonSets one on each node."""
    nodes = [make("Node", name, "") for name in ("a", "b")]
    found = world(workload("Deployment", "web", 2), workload("StatefulSet", "db"), workload("DaemonSet", "log"), *nodes)
    assert list(found["Pod"]) == ["default/db-0", "default/log-0", "default/log-1", "default/web-0", "default/web-1"]
    assert found["Pod"]["default/web-0"]["metadata"]["labels"] == {"app": "web"}
    assert [found["Pod"][f"default/log-{n}"]["spec"]["nodeName"] for n in (0, 1)] == ["a", "b"]


def test_an_export_is_not_expanded_again() -> None:
    """Where the pods of a Deployment or its ReplicaSet are there, no others are made."""
    owner = {"kind": "Deployment", "name": "web", "controller": True}
    replica_set = workload("ReplicaSet", "web-abc", 1)
    replica_set["metadata"]["ownerReferences"] = [owner]
    pod = make("Pod", "web-abc-x", spec={}, status={"podIP": "10.244.1.9"})
    pod["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-abc", "controller": True}]
    deployment = workload("Deployment", "web", 1)
    assert list(world(replica_set, pod, deployment)["Pod"]) == ["default/web-abc-x"]


def test_pods_of_a_deployment_are_known_without_their_replica_set() -> None:
    """An export of Deployments and pods alone has each pod once, and its pods are numbered as the Deployment's."""
    owner = {"kind": "ReplicaSet", "name": "api-5f7", "controller": True}
    labels = {"app": "api", "pod-template-hash": "5f7"}
    exported = make("Pod", "api-5f7-x2x9z", labels=labels, spec={})
    exported["metadata"]["ownerReferences"] = [owner]
    deployment = make("Deployment", "api", spec={"replicas": 1, "template": {"metadata": {"labels": {"app": "api"}}}})
    pods = [obj for obj in offline.build([deployment, exported]).objects if obj["kind"] == "Pod"]
    assert [pod["metadata"]["name"] for pod in pods] == ["api-5f7-x2x9z"]
    assert [pod["metadata"]["name"] for pod in numbered(pods)] == ["api-0"]


def test_what_is_stated_stays() -> None:
    """Address, node and labels of a pod, the labels of a Namespace; the objects given are not changed."""
    pod = make("Pod", "p", "shop", labels={"x": "y"}, spec={"nodeName": "n"}, status={"podIP": "10.244.7.7"})
    given = [pod, make("Namespace", "shop", "", labels={"team": "red"})]
    before = clone(given)
    found = world(*given)
    assert given == before
    built = found["Pod"]["shop/p"]
    assert (built["status"]["podIP"], built["spec"]["nodeName"]) == ("10.244.7.7", "n")
    assert built["metadata"]["labels"] == {"x": "y"}
    assert found["Namespace"]["shop"]["metadata"]["labels"] == {"team": "red", "kubernetes.io/metadata.name": "shop"}
    assert found["Node"]["n"]["spec"]["podCIDR"] == "10.244.7.0/24"


def test_what_is_only_mentioned_exists() -> None:
    """Namespaces and Nodes are implied, `node-1` if none is named."""
    found = world(make("Pod", "p", "shop", spec={}))
    assert list(found["Namespace"]) == ["shop"]
    assert list(found["Node"]) == ["node-1"]
    assert found["Pod"]["shop/p"]["status"]["podIP"] == "10.244.1.2"
    assert found["Pod"]["shop/p"]["status"]["hostIP"] == "172.30.0.11"


def test_pods_go_round_the_nodes() -> None:
    """Pods without a node are spread in order; each gets the next free address of its node."""
    stated = make("Pod", "c", spec={"nodeName": "b"}, status={"podIP": "10.244.2.2"})
    pods = [make("Pod", name, spec={}) for name in ("p1", "p2", "p3")]
    found = world(make("Node", "a", ""), stated, *pods)["Pod"]
    places = [(pod["spec"]["nodeName"], pod["status"]["podIP"]) for pod in found.values()]
    assert places == [("b", "10.244.2.2"), ("a", "10.244.1.2"), ("b", "10.244.2.3"), ("a", "10.244.1.3")]


def test_a_full_node_gets_another_range() -> None:
    """As many pods as there are fit on the only node."""
    found = world(workload("Deployment", "web", 300))
    addresses = {pod["status"]["podIP"] for pod in found["Pod"].values()}
    assert len(addresses) == 300
    assert len(found["Node"]["node-1"]["spec"]["podCIDRs"]) == 2


def test_host_network_pods_have_their_nodes_address() -> None:
    """An implied node is known by the address that a pod on its network states."""
    pods = [
        make("Pod", "a", spec={"hostNetwork": True, "nodeName": "n"}, status={"podIP": "172.30.0.77"}),
        make("Pod", "b", spec={"hostNetwork": True, "nodeName": "n"}),
    ]
    assert world(*pods)["Pod"]["default/b"]["status"]["podIP"] == "172.30.0.77"


def test_one_address_belongs_to_one_pod() -> None:
    """Two pods that state the same address are an error in the manifests."""
    pods = [make("Pod", name, spec={}, status={"podIP": "10.244.1.5"}) for name in "ab"]
    with pytest.raises(ValueError, match=r"default/a and default/b both state the address 10\.244\.1\.5"):
        offline.build(pods)


def test_services_get_addresses_and_slices() -> None:
    """ClusterIPs, node ports and a balancer's address in order; endpoints from the selector, ports by name."""
    service = make("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]})
    outside = make("Service", "out", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    headless = make("Service", "none", spec={"clusterIP": "None"})
    found = world(workload("Deployment", "web", 2), service, outside, headless)
    built = found["Service"]
    assert built["default/out"]["spec"]["clusterIP"] == "10.96.0.2"
    assert built["default/web"]["spec"]["clusterIP"] == "10.96.0.3"
    assert built["default/none"]["spec"]["clusterIP"] == "None"
    assert built["default/out"]["spec"]["ports"][0]["nodePort"] == 30000
    assert built["default/out"]["status"]["loadBalancer"]["ingress"][0]["ip"] == "172.30.0.192"
    (part,) = found["EndpointSlice"].values()
    assert part["ports"] == [{"name": "", "protocol": "TCP", "port": 8000}]
    assert [item["addresses"] for item in part["endpoints"]] == [["10.244.1.2"], ["10.244.1.3"]]
    assert part["endpoints"][0]["conditions"] == {"ready": True, "serving": True, "terminating": False}


def test_a_load_balancer_may_do_without_node_ports() -> None:
    """`allocateLoadBalancerNodePorts: false` leaves them out, as the server does."""
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    made = world(
        make("Service", "a", spec=spec), make("Service", "b", spec={**spec, "allocateLoadBalancerNodePorts": False})
    )
    ports = [item["spec"]["ports"][0].get("nodePort") for item in made["Service"].values()]
    assert ports == [30000, None]


def test_hand_made_slices_stay() -> None:
    """Slices of a Service without selector are the author's; those of the controller are made anew."""
    labels = {"kubernetes.io/service-name": "ext"}
    mine = make("EndpointSlice", "mine", labels=labels, addressType="IPv4", ports=[], endpoints=[])
    old_labels = {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    old = make("EndpointSlice", "web-old", labels=old_labels, addressType="IPv4", ports=[], endpoints=[])
    services = [make("Service", "ext", spec={}), make("Service", "web", spec={"selector": {"app": "web"}})]
    assert list(world(mine, old, *services)["EndpointSlice"]) == ["default/mine"]


def test_an_unready_pod_is_an_unready_endpoint() -> None:
    """A stated condition counts."""
    pod = make(
        "Pod", "web", labels={"app": "web"}, spec={}, status={"conditions": [{"type": "Ready", "status": "False"}]}
    )
    service = make("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    (part,) = world(pod, service)["EndpointSlice"].values()
    assert part["endpoints"][0]["conditions"]["ready"] is False


def test_addons_are_there_if_wanted_and_not_brought() -> None:
    """DNS always, the ingress proxy for Ingresses; the manifests' own come first."""
    ingress = make("Ingress", "web", spec={"ingressClassName": "nginx", "rules": []})
    assert "Service" not in world(ingress)
    found = world(ingress, addons=True)
    assert found["Service"]["kube-system/kube-dns"]["spec"]["clusterIP"] == Network().dns_ip
    assert found["Pod"].keys() == {"kube-system/ingress-0", "kube-system/kube-dns-0"}
    assert found["IngressClass"]["nginx"]["spec"]["controller"] == "miniplane.io/ingress"
    own = make("Service", "kube-dns", "kube-system", spec={"clusterIP": "10.96.0.53"})
    built = offline.build([own], addons=True)
    assert built.network.dns_ip == "10.96.0.53"
    assert not [obj for obj in built.objects if obj["kind"] == "Pod"]


@pytest.mark.parametrize(("name", "made"), [("dns", offline_addons.DNS), ("ingress", offline_addons.INGRESS)])
def test_the_addons_are_those_of_a_cluster(name: str, made: tuple[Object, ...]) -> None:
    """Names, selectors, labels and ports are the ones that the controllers' manifests have."""
    text = (Path(__file__).parents[3] / "controllers" / "addons" / f"{name}.yaml").read_text()
    real = {obj["kind"]: obj for obj in yaml.safe_load_all(text)}
    for obj in made:
        other = real[obj["kind"]]
        assert (obj["metadata"]["namespace"], obj["metadata"]["name"]) == ("kube-system", other["metadata"]["name"])
        assert obj["spec"]["selector"] == other["spec"]["selector"]
        if obj["kind"] == "Service":
            ports = [{"protocol": "TCP", **port} for port in other["spec"]["ports"]]
            assert obj["spec"]["ports"] == ports
        else:
            template, others = obj["spec"]["template"], other["spec"]["template"]
            assert template["metadata"]["labels"] == others["metadata"]["labels"]
            ports = [{"protocol": "TCP", **port} for port in others["spec"]["containers"][0]["ports"]]
            assert template["spec"]["containers"][0]["ports"] == ports


def test_the_same_manifests_give_the_same_world() -> None:
    """Nothing depends on chance or on the order of files."""
    objects = [workload("Deployment", name, 2) for name in ("web", "api")]
    services = [make("Service", name, spec={"selector": {"app": name}}) for name in ("web", "api")]
    forward, backward = [*objects, *services], [*reversed(services), *reversed(objects)]
    assert world(*forward) == world(*backward)


def test_files_of_tools_are_no_objects_but_a_nameless_pod_is_a_mistake() -> None:
    """A kustomization has no name and no part in the network; a Pod without a name can't be talked about."""
    assert "Kustomization" not in world({"kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1beta1"})
    with pytest.raises(ValueError, match=r"a Pod without metadata\.name"):
        offline.build([{"kind": "Pod", "metadata": {"generateName": "x-"}}])


def test_both_families_stand_beside_each_other() -> None:
    """IPv6 addresses that pods state are routed and part of the plan; pods are asked in the first family they share."""
    pods = [make("Pod", name, spec={"nodeName": name}, status={"podIP": f"fd00::{name}"}) for name in "ab"]
    block = make(
        "NetworkPolicy", "p", spec={"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "fd00::a/128"}}]}]}
    )
    assert matrix([*pods, block], port=80).words == (("self", "allow"), ("ingress", "self"))


def test_the_plan_of_complete_objects_has_their_ranges() -> None:
    """A running cluster's own address plan is read off its nodes, its pods and its DNS."""
    objects = [
        make("Node", "n", "", spec={"podCIDR": "10.7.1.0/24"}),
        make("Pod", "p", spec={"nodeName": "n"}, status={"podIP": "10.7.1.9"}),
        make("Pod", "h", spec={"nodeName": "n", "hostNetwork": True}, status={"podIP": "192.168.0.1"}),
        make("Service", "kube-dns", "kube-system", spec={"clusterIP": "10.43.0.10"}),
    ]
    plan = offline.plan_of(objects)
    assert plan.pod_cidrs == ("10.244.0.0/16", "10.7.1.0/24")
    assert plan.dns_ip == "10.43.0.10"
