"""What a node says of itself."""

from agents.kubelet.registration import NodeFacts, node_object
from miniplane.api.kind import Object

FACTS = NodeFacts(name="node-1", ip="172.30.0.11", kubelet_host="127.0.0.1", kubelet_port=1234)


def test_a_deleted_node_comes_back_as_it_was() -> None:
    """Its pod ranges and what the agent told in annotations stay; the user's own marks go, as with a new kubelet."""
    before: Object = {
        "metadata": {
            "name": "node-1",
            "labels": {"mine": "x"},
            "annotations": {
                "miniplane.io/host-ports": "{}",
                "miniplane.io/kubelet-address": "127.0.0.1:1",
                "mine": "x",
            },
        },
        "spec": {"podCIDR": "10.244.5.0/24", "podCIDRs": ["10.244.5.0/24"], "unschedulable": True},
    }
    assert node_object(FACTS)["spec"] == {}
    again = node_object(FACTS, before)
    assert again["spec"] == {"podCIDR": "10.244.5.0/24", "podCIDRs": ["10.244.5.0/24"]}
    assert again["metadata"]["annotations"] == {
        "miniplane.io/host-ports": "{}",
        "miniplane.io/kubelet-address": "127.0.0.1:1234",
    }
    assert "mine" not in again["metadata"]["labels"]
