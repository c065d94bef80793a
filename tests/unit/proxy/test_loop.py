"""The proxy puts the cluster's state in force as rules, once per burst, whatever single objects look like."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from agents.proxy.backends.userspace import UserspaceBackend, new_machine
from agents.proxy.loop import GATHER_S, RETRY_S, Proxy
from miniplane.api.kind import Kind, Object
from miniplane.client import Apply, Init, InitApply, InitDone
from miniplane.config import Network
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.program import Program
from miniplane.kinds import (
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    CLUSTER_NETWORK_POLICY,
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SERVICE,
)
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.informer import Informers
from tests.integration.datapath import endpoints, node, pod, service
from tests.unit.kubelet.fakes import ManualClock, settle

TIERS = (CLUSTER_NETWORK_POLICY, ADMIN_NETWORK_POLICY, BASELINE_ADMIN_NETWORK_POLICY)
KINDS = (NODE, POD, SERVICE, ENDPOINT_SLICE, NETWORK_POLICY, *TIERS, NAMESPACE)
NAMESPACES = [{"metadata": {"name": "default", "uid": "default"}}]


class Backend:
    """Remembers programs; fails as often as it is told."""

    def __init__(self) -> None:
        self.programs: list[Program] = []
        self.failures = 0

    async def apply(self, program: Program) -> None:
        """Take or fail."""
        if self.failures:
            self.failures -= 1
            raise OSError("no")
        self.programs.append(program)


class Bench:
    """A proxy whose informers are fed by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.informers = Informers(cast("Any", None), self.clock)
        self.backend = Backend()
        self.registry = CollectorRegistry()
        self.proxy = Proxy("node-1", Network(), self.informers, self.backend, self.clock, self.registry)
        self._revision = 0

    def fill(self, kind: Kind, *objects: Object) -> None:
        """The first list of a kind."""
        informer = self.informers.get(kind)
        informer.take(Init())
        for item in objects:
            informer.take(InitApply(self._new(item)))
        informer.take(InitDone("1"))

    def fill_all(self) -> None:
        """Two nodes, one namespace, nothing else."""
        for kind in KINDS:
            self.fill(kind, *{NODE: [node("node-1"), node("node-2")], NAMESPACE: NAMESPACES}.get(kind, []))

    def put(self, kind: Kind, *objects: Object) -> None:
        """New states of objects."""
        for item in objects:
            self.informers.get(kind).take(Apply(self._new(item)))

    def _new(self, item: Object) -> Object:
        self._revision += 1
        return item | {"metadata": item["metadata"] | {"resourceVersion": str(self._revision)}}

    async def sync(self) -> None:
        """Let a burst be gathered and put in force."""
        await self.clock.advance(GATHER_S)

    def metric(self, name: str) -> float | None:
        """A sample of the proxy's metrics."""
        return self.registry.get_sample_value(name)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A running proxy without anything listed yet."""
    made = Bench()
    task = asyncio.create_task(made.proxy.run())
    await settle()
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_ready_with_everything_listed(bench: Bench) -> None:
    """The first program comes when every kind is listed, and is complete."""
    for kind in KINDS[:-1]:
        bench.fill(kind)
    await settle()
    assert not bench.proxy.ready.is_set()
    bench.fill(NAMESPACE, *NAMESPACES)
    await settle()
    assert bench.proxy.ready.is_set()
    assert len(bench.backend.programs) == 1


async def test_a_burst_is_one_sync(bench: Bench) -> None:
    """Changes that come together are one program, which has them all."""
    bench.fill_all()
    await settle()
    bench.put(POD, *(pod(f"p{number}", "node-1", f"10.244.1.{number}") for number in range(2, 9)))
    bench.put(SERVICE, service("s", "10.96.0.50", 80))
    bench.put(ENDPOINT_SLICE, endpoints("s", 80, ("10.244.1.2", "node-1")))
    await bench.sync()
    assert len(bench.backend.programs) == 2
    machine = new_machine("node-1", Network())
    await UserspaceBackend(machine).apply(bench.backend.programs[-1])
    packet = Packet.of("10.244.1.3", "10.96.0.50", dport=80)
    outcome = machine.send(packet, entry=Entry.FORWARD, source=Source.POD, now=0, choose=lambda _: 0)
    assert (outcome.verdict, str(outcome.packet.dst)) == (Verdict.ACCEPT, "10.244.1.2")


async def test_what_rules_cannot_see_costs_nothing(bench: Bench) -> None:
    """A heartbeat or an annotation leads to no sync."""
    bench.fill_all()
    await settle()
    syncs = bench.metric("kubeproxy_sync_proxy_rules_duration_seconds_count")
    changed = node("node-1")
    changed["metadata"]["annotations"] = {"a": "b"}
    changed["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    bench.put(NODE, changed)
    await bench.sync()
    assert bench.metric("kubeproxy_sync_proxy_rules_duration_seconds_count") == syncs == 1


async def test_an_unreadable_object_is_left_out(bench: Bench) -> None:
    """An object of no known form stops nobody: the others' rules are in force, it is counted until it is mended."""
    bench.fill_all()
    await settle()
    bad = service("bad", "10.96.0.60", 80) | {"spec": {"clusterIP": "10.96.0.60", "ports": "none"}}
    bench.put(SERVICE, bad, service("good", "10.96.0.50", 80))
    await bench.sync()
    await bench.sync()
    rules = bench.backend.programs[-1].ruleset
    elements = [element for table in rules.tables for item in table.sets for element in item.elements]
    assert any("good" in str(element.origins) for element in elements)
    assert not any("bad" in str(element.origins) for element in elements)
    assert bench.metric("miniplane_proxy_unreadable_objects") == 1
    bench.put(SERVICE, service("bad", "10.96.0.60", 80))
    await bench.sync()
    assert bench.metric("miniplane_proxy_unreadable_objects") == 0


async def test_a_failed_sync_is_tried_again(bench: Bench) -> None:
    """A data path that fails is given the rules again, without another change."""
    bench.backend.failures = 1
    bench.fill_all()
    await settle()
    assert not bench.proxy.ready.is_set()
    await bench.clock.advance(RETRY_S)
    assert bench.proxy.ready.is_set()
    assert bench.metric("miniplane_proxy_sync_failures_total") == 1
