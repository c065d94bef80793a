"""What a node says of itself."""

from typing import cast

from agents.kubelet.registration import NodeFacts, NodeReporter, node_object
from miniplane import aio
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.testing.clock import SimulatedClock

FACTS = NodeFacts(name="node-1", ip="172.30.0.11", kubelet_host="127.0.0.1", kubelet_port=1234)


def test_a_deleted_node_comes_back_as_it_was() -> None:
    """A wish for its pod ranges and what the agent told in annotations stay; the user's own marks go."""
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
    assert again["spec"] == {}
    assert again["metadata"]["annotations"] == {
        "miniplane.io/host-ports": "{}",
        "miniplane.io/kubelet-address": "127.0.0.1:1234",
        "miniplane.io/pod-ranges": "10.244.5.0/24",
    }
    assert "mine" not in again["metadata"]["labels"]


async def test_a_node_given_up_is_reported_again_at_once() -> None:
    """A kubelet whose conditions somebody made Unknown says so now, not at the next turn in five minutes."""
    clock, written = SimulatedClock(), list[Object]()

    class Server:
        """Keeps what is written."""

        async def create(self, _kind: Kind, obj: Object) -> Object:
            """The Node as it is stored."""
            return obj

        async def patch(self, _kind: Kind, _key: Key, body: Object, **_options: object) -> Object:
            """Keep the status."""
            written.append(body["status"])
            return body

    reporter = NodeReporter(cast(Client, Server()), FACTS, clock)
    async with aio.background(reporter.run(lambda: None)):
        await clock.advance(1)
        node = {"metadata": {"name": "node-1"}, "spec": {"podCIDR": "10.244.5.0/24"}, "status": written[-1]}
        reporter.update(node)
        await clock.advance(1)
        told = len(written)
        silent = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        reporter.update(node | {"status": silent})
        await clock.advance(1)
    assert len(written) == told + 1
