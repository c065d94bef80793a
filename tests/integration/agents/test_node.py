"""A node's agent against the real API server, with real bytes."""

import asyncio
import contextlib

import pytest

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client.streams import run
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import CONFIG_MAP, EVENT, LEASE, NODE, POD
from tests.integration.agents.conftest import PATIENCE_S, Site

NGINX: Object = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}
TOOL: Object = {"name": "tool", "image": "busybox", "command": ["sleep", "infinity"]}


async def test_node_registers_and_becomes_ready_with_its_range(site: Site) -> None:
    """The Node has its addresses and annotations; it is Ready once it has a podCIDR; its Lease is renewed."""
    async with site.agent():
        node = await site.client.get(NODE, "node-1")
        assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "172.30.0.11"}
        assert set(node["metadata"]["annotations"]) >= {"miniplane.io/kubelet-address", "miniplane.io/tunnel-address"}
        assert ready_condition(node)["reason"] == "KubeletNotReady"
        await site.give_range()
        async with asyncio.timeout(PATIENCE_S):
            while ready_condition(node)["status"] != "True":
                await asyncio.sleep(0.02)
                node = await site.client.get(NODE, "node-1")
        lease = await site.client.get(LEASE, "node-1", "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == "node-1"
        assert lease["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]


async def test_a_deleted_node_comes_back_with_its_range(site: Site) -> None:
    """Deleting the Node of a running agent costs neither what it has told nor its wish for the same pod addresses."""
    async with site.agent():
        await site.give_range(cidr="10.244.7.0/24")
        await site.run("web", NGINX)
        await site.running("web")
        node = before = await site.client.get(NODE, "node-1")
        await site.client.delete(NODE, Key("", "node-1"))
        async with asyncio.timeout(PATIENCE_S):
            while node["metadata"]["uid"] == before["metadata"]["uid"]:
                await asyncio.sleep(0.02)
                with contextlib.suppress(NotFound):
                    node = await site.client.get(NODE, "node-1")
    told = before["metadata"]["annotations"]
    assert node["metadata"]["annotations"] == {**told, "miniplane.io/pod-ranges": "10.244.7.0/24"}
    assert "podCIDR" not in node["spec"]


def ready_condition(node: Object) -> Object:
    """The Node's condition Ready."""
    return next(item for item in node["status"]["conditions"] if item["type"] == "Ready")


async def test_pod_runs_serves_and_is_deleted(site: Site) -> None:
    """A bound pod waits for the range, runs, answers another pod's curl, has events and logs, and goes when deleted."""
    async with site.agent():
        await site.run("web", NGINX)
        await site.run("tool", TOOL)
        waiting = await site.pod("web", lambda pod: bool(pod["status"].get("containerStatuses")))
        assert waiting["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
        await site.give_range()
        web = await site.running("web")
        await site.running("tool")
        assert web["status"]["phase"] == "Running"
        assert web["status"]["podIP"].startswith("10.244.1.")
        answer = await run(
            site.client, Key("default", "tool"), ["curl", "-s", f"http://{web['status']['podIP']}/hostname"]
        )
        assert (answer.code, answer.output) == (0, "web")
        log = await site.client.request("GET", "/api/v1/namespaces/default/pods/web/log")
        assert b'"GET /hostname" 200' in log
        await asyncio.sleep(0)
        events = await site.client.list(EVENT, "default", fields="involvedObject.name=web")
        assert {item["reason"] for item in events.items} >= {"Pulled", "Created", "Started"}
        await site.client.delete(POD, Key("default", "web"))
        await site.gone("web")
        refused = await run(site.client, Key("default", "tool"), ["nc", "-zvw", "1", web["status"]["podIP"], "80"])
        assert refused.code == 1


async def test_exec_exit_code_and_unknown_container(site: Site) -> None:
    """The exit code travels through the API server; a container that is not there is refused."""
    async with site.agent():
        await site.give_range()
        await site.run("tool", TOOL)
        await site.running("tool")
        assert (await run(site.client, Key("default", "tool"), ["sh", "-c", "exit 9"])).code == 9
        with pytest.raises(ApiError):
            await run(site.client, Key("default", "tool"), ["true"], container="nobody")


async def test_restarted_agent_keeps_addresses_and_counts_restarts(site: Site) -> None:
    """After the agent's restart pods have the same address, and one restart more; new pods get other addresses."""
    async with site.agent():
        await site.give_range()
        await site.run("web", NGINX)
        before = await site.running("web")
    async with site.agent():
        after = await site.pod("web", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1)
        assert after["status"]["podIP"] == before["status"]["podIP"]
        assert after["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 255
        await site.run("new", NGINX)
        new = await site.running("new")
        assert new["status"]["podIP"] != before["status"]["podIP"]


async def test_configuration_reaches_the_container(site: Site) -> None:
    """A ConfigMap's key and the downward API are in the environment, read with the node's own rights."""
    await site.client.create(
        CONFIG_MAP, {"metadata": {"name": "settings", "namespace": "default"}, "data": {"color": "blue"}}
    )
    env = [
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    async with site.agent():
        await site.give_range()
        await site.run("tool", TOOL | {"env": env})
        pod = await site.running("tool")
        answer = await run(site.client, Key("default", "tool"), ["sh", "-c", "echo $COLOR $IP $NODE"])
        assert answer.output == f"blue {pod['status']['podIP']} node-1\n"


async def test_deleted_node_registers_again(site: Site) -> None:
    """If somebody deletes the Node of a living agent, it comes back."""
    async with site.agent():
        first = await site.client.get(NODE, "node-1")
        await site.client.delete(NODE, Key("", "node-1"))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    again = await site.client.get(NODE, "node-1")
                    if again["metadata"]["uid"] != first["metadata"]["uid"]:
                        return
                except ApiError:
                    pass
                await asyncio.sleep(0.02)


async def test_forced_deletion_is_at_once(site: Site) -> None:
    """With grace 0 the object goes immediately and the agent cleans up after it."""
    async with site.agent():
        await site.give_range()
        await site.run("web", NGINX)
        pod = await site.running("web")
        await site.run("tool", TOOL)
        await site.running("tool")
        await site.client.delete(POD, Key("default", "web"), grace_s=0)
        await site.gone("web")
        look = ["sh", "-c", f"while nc -zw 0.2 {pod['status']['podIP']} 80; do sleep 0.02; done"]
        async with asyncio.timeout(PATIENCE_S):
            await run(site.client, Key("default", "tool"), look)


async def test_two_nodes_reach_each_other(site: Site) -> None:
    """A pod on one node gets an answer from a pod on the other, which sees its real address."""
    async with site.agent("node-1"), site.agent("node-2"):
        await site.give_range("node-1", "10.244.1.0/24")
        await site.give_range("node-2", "10.244.2.0/24")
        await site.run("tool", TOOL, node="node-1")
        await site.run("web", NGINX, node="node-2")
        web = await site.running("web")
        tool = await site.running("tool")
        url = f"http://{web['status']['podIP']}/clientip"
        answer = await run(site.client, Key("default", "tool"), ["curl", "-sm", "5", url])
        assert answer.output.rpartition(":")[0] == tool["status"]["podIP"]
