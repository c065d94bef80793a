"""The Node object: what a node says of itself, and the loop that keeps it said.

`node_object` and `conditions` are pure. Counterpart upstream: kubelet's node status and registration.
"""

import asyncio
import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from miniplane.aio import Clock, done_within, stop
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import HOSTNAME, KUBELET_ADDRESS, OWN, POD_RANGES
from miniplane.client import Client, PatchType
from miniplane.errors import AlreadyExists, ApiError, NotFound
from miniplane.kinds import NODE
from miniplane.observe import logs

log = logs.get("agents.kubelet.node")

VERSION = "v1.33.0"
STATUS_PERIOD_S = 300.0
"""Upstream's nodeStatusReportFrequency: how often an unchanged status is written again."""
RETRY_S = 1.0
MAX_PODS = 110
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node is."""

    name: str
    ip: str
    kubelet_host: str
    """Where the kubelet's server is really reached."""
    kubelet_port: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    """More annotations, such as the tunnel's address."""
    runtime_version: str = ""
    cpus: int = 0
    """0: the machine's."""
    memory_bytes: int = 0
    """0: the machine's."""


def node_object(facts: NodeFacts, before: Object | None = None) -> Object:
    """The Node as it is registered; its status comes after.

    A Node that somebody deleted `before` comes back with a wish for its pod ranges, since its pods still have their
    addresses, and with what other parts of this agent have told in annotations.
    """
    architecture = _architecture()
    spec, told = (before or {}).get("spec") or {}, meta.annotations(before or {})
    ranges = ",".join(spec.get("podCIDRs") or ())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": facts.name,
            "labels": {HOSTNAME: facts.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture},
            "annotations": {
                **{name: value for name, value in told.items() if name.startswith(OWN)},
                KUBELET_ADDRESS: f"{facts.kubelet_host}:{facts.kubelet_port}",
                **({POD_RANGES: ranges} if ranges else {}),
                **facts.annotations,
            },
        },
        "spec": {},
    }


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def node_status(facts: NodeFacts, node: Object, now: datetime) -> Object:
    """The status that goes with the Node as it is stored."""
    amounts = {
        "cpu": str(facts.cpus or os.cpu_count() or 1),
        "memory": f"{(facts.memory_bytes or _memory_bytes()) // 1024}Ki",
        "ephemeral-storage": "10Gi",
        "pods": str(MAX_PODS),
    }
    identity = hashlib.sha256(facts.name.encode()).hexdigest()[:32]
    return {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": conditions(node, now),
        "addresses": [{"type": "InternalIP", "address": facts.ip}, {"type": "Hostname", "address": facts.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.kubelet_port}},
        "nodeInfo": {
            "machineID": identity,
            "systemUUID": identity,
            "bootID": identity,
            "kernelVersion": platform.release(),
            "osImage": "miniplane",
            "containerRuntimeVersion": f"miniplane://{facts.runtime_version}",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": _architecture(),
        },
    }


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 4 * 1024**3


def conditions(node: Object, now: datetime) -> list[Object]:
    """The node's conditions; it is ready once it has a range for its pods."""
    has_range = bool((node.get("spec") or {}).get("podCIDR"))
    wanted = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if has_range
        else ("Ready", "False", "KubeletNotReady", "network not ready: the node has no podCIDR yet"),
    ]
    before = {item["type"]: item for item in (node.get("status") or {}).get("conditions") or ()}
    stamp = meta.timestamp(now)
    made = []
    for kind, status, reason, message in wanted:
        old = before.get(kind, {})
        stays = old.get("status") == status and old.get("lastTransitionTime")
        made.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": stamp,
                "lastTransitionTime": stays or stamp,
            }
        )
    return made


def _is_given_up(node: Object) -> bool:
    """Whether somebody has put Unknown in place of what this kubelet said."""
    return any(item.get("status") == "Unknown" for item in (node.get("status") or {}).get("conditions") or ())


class NodeReporter:
    """Registers the node, again if somebody deletes it, and keeps its status fresh."""

    def __init__(self, client: Client, facts: NodeFacts, clock: Clock) -> None:
        self._client = client
        self._facts = facts
        self._clock = clock
        self._node: Object | None = None
        self._before: Object | None = None
        self._is_registered = False
        self._has_range = False
        self._changed = asyncio.Event()

    def update(self, node: Object | None) -> None:
        """The Node as it is stored now; None when somebody has deleted it."""
        self._node = node
        self._before = node or self._before
        self._is_registered = self._is_registered and node is not None
        has_range = node is not None and bool((node.get("spec") or {}).get("podCIDR"))
        if node is None or has_range != self._has_range or _is_given_up(node):
            self._has_range = has_range
            self._changed.set()

    async def run(self, registered: Callable[[], None]) -> None:
        """Keep the node registered until cancelled; `registered` is called after the first time."""
        told = False
        while True:
            self._changed.clear()
            try:
                await self._report()
            except ApiError as error:
                log.warning("node status not written", node=self._facts.name, error=error.message)
                await self._clock.sleep(RETRY_S)
                continue
            if not told:
                told = True
                registered()
            await self._pause()

    async def _pause(self) -> None:
        changed = asyncio.create_task(self._changed.wait(), name="node change")
        try:
            await done_within(self._clock, STATUS_PERIOD_S, changed)
        finally:
            await stop(changed)

    async def _report(self) -> None:
        if not self._is_registered or self._node is None:
            self._node = await self._register()
            self._is_registered = True
        node = self._node
        body = {"status": node_status(self._facts, node, self._clock.now())}
        key = Key("", self._facts.name)
        try:
            await self._client.patch(NODE, key, body, type=PatchType.STRATEGIC, subresource="status")
        except NotFound:
            self._is_registered = False
            raise

    async def _register(self) -> Object:
        """Create the Node, or take over the one that is there: labels and annotations become ours."""
        wanted = node_object(self._facts, self._before)
        try:
            return await self._client.create(NODE, wanted)
        except AlreadyExists:
            data = wanted["metadata"]
            body = {"metadata": {"labels": data["labels"], "annotations": data["annotations"]}}
            return await self._client.patch(NODE, Key("", self._facts.name), body)
