"""Cluster-wide policies act on real traffic: before the NetworkPolicies, after them, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client.streams import run
from miniplane.kinds import (
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    CLUSTER_NETWORK_POLICY,
    NETWORK_POLICY,
)
from tests.integration.agents.conftest import PATIENCE_S, Site

NGINX: Object = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}
TOOL: Object = {"name": "tool", "image": "busybox", "command": ["sleep", "infinity"]}
WEB = {"matchLabels": {"app": "web"}}
SUBJECT = {"pods": {"namespaceSelector": {}, "podSelector": WEB}}


class Pair:
    """A web server and a client, and whether the one answers the other."""

    def __init__(self, site: Site, address: str) -> None:
        self.client = site.client
        self._address = address

    async def _answers(self) -> bool:
        asked = await run(self.client, Key("default", "tool"), ["nc", "-zvw", "1", self._address, "80"])
        return asked.code == 0

    async def becomes(self, *, open_: bool) -> None:
        """Return once the server is open, or closed, to the client."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._answers() is not open_:  # noqa: ASYNC110  only traffic can tell
                await asyncio.sleep(0.02)

    async def put(self, kind: Kind, name: str, **spec: Any) -> None:
        """Make a policy."""
        namespace = {"namespace": "default"} if kind.namespaced else {}
        metadata = {"name": name, **namespace}
        await self.client.create(
            kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
        )

    async def drop(self, kind: Kind, name: str) -> None:
        """Delete a policy."""
        await self.client.delete(kind, Key("default" if kind.namespaced else "", name))


@pytest.fixture
async def pair(site: Site) -> AsyncIterator[Pair]:
    """Both pods running on one node."""
    async with site.agent():
        await site.give_range()
        await site.run("web", NGINX)
        await site.run("tool", TOOL)
        web = await site.running("web")
        await site.running("tool")
        yield Pair(site, web["status"]["podIP"])


def rule(action: str) -> list[Object]:
    """One rule for what comes from any pod."""
    return [{"action": action, "from": [{"namespaces": {}}]}]


async def test_the_admin_tier_comes_first(pair: Pair) -> None:
    """Deny beats what a NetworkPolicy allows; Pass leaves it to the NetworkPolicies; Accept beats their no."""
    await pair.put(NETWORK_POLICY, "allow", podSelector=WEB, ingress=[{}])
    await pair.becomes(open_=True)
    spec = {"tier": "Admin", "priority": 10, "subject": SUBJECT}
    await pair.put(CLUSTER_NETWORK_POLICY, "deny", **spec, ingress=rule("Deny"))
    await pair.becomes(open_=False)
    await pair.put(CLUSTER_NETWORK_POLICY, "pass", **spec | {"priority": 5}, ingress=rule("Pass"))
    await pair.becomes(open_=True)
    await pair.client.patch(NETWORK_POLICY, Key("default", "allow"), {"spec": {"ingress": []}})
    await pair.becomes(open_=False)
    await pair.put(CLUSTER_NETWORK_POLICY, "accept", **spec | {"priority": 1}, ingress=rule("Accept"))
    await pair.becomes(open_=True)


async def test_the_baseline_comes_last(pair: Pair) -> None:
    """A baseline's Deny holds for pods that no NetworkPolicy isolates, and for no others."""
    await pair.put(BASELINE_ADMIN_NETWORK_POLICY, "default", subject=SUBJECT, ingress=rule("Deny"))
    await pair.becomes(open_=False)
    await pair.put(NETWORK_POLICY, "allow", podSelector=WEB, ingress=[{}])
    await pair.becomes(open_=True)
    await pair.put(ADMIN_NETWORK_POLICY, "deny", priority=0, subject=SUBJECT, ingress=rule("Deny"))
    await pair.becomes(open_=False)
    await pair.drop(ADMIN_NETWORK_POLICY, "deny")
    await pair.becomes(open_=True)
    await pair.drop(NETWORK_POLICY, "allow")
    await pair.becomes(open_=False)
    await pair.drop(BASELINE_ADMIN_NETWORK_POLICY, "default")
    await pair.becomes(open_=True)
