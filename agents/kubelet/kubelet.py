"""The kubelet: one worker for each pod that is bound to this node.

It is told of pods and of its Node by informers' changes, which never wait; the work is done in the workers' tasks.
"""

import asyncio
from collections.abc import Iterable, Iterator

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.observe import logs

from ..network.base import Link
from ..network.ipam import Ipam
from .host import Host
from .pods import PodWorker

log = logs.get("agents.kubelet")

RETRY_S = 1.0
"""Before a worker that failed by a bug is started again."""
_OVER = ("Succeeded", "Failed")


class Addresses:
    """The node's pod addresses, once it has a range for them."""

    def __init__(self) -> None:
        self._ipam: Ipam | None = None

    def __call__(self) -> Ipam | None:
        """The addresses, or None as long as there is no range."""
        return self._ipam

    def take_range(self, cidr: str, pods: Iterable[Object]) -> None:
        """The node has got its range; what pods have from before is theirs."""
        self._ipam = Ipam(cidr)
        for pod in pods:
            self.adopt(pod)

    def adopt(self, pod: Object) -> None:
        """Keep the address that a pod has from an earlier life of this agent."""
        status = pod.get("status") or {}
        address = status.get("podIP")
        if self._ipam is None or not address or pod["spec"].get("hostNetwork") or status.get("phase") in _OVER:
            return
        if self._ipam.get(meta.uid(pod)) is None and not self._ipam.adopt(meta.uid(pod), address):
            log.warning("address not adopted", pod=meta.key_of(pod), address=address, range=self._ipam.cidr)


class Kubelet:
    """All pods of one node."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self._host = host
        self._addresses = addresses
        self._workers: dict[str, PodWorker] = {}
        self._waiting: dict[str, Object] = {}
        self._group: asyncio.TaskGroup | None = None

    def __iter__(self) -> Iterator[PodWorker]:
        return iter(self._workers.values())

    @property
    def host_link(self) -> Link:
        """The node's own place in the network."""
        return self._host.network.host()

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the pod of that name."""
        wanted = (namespace, name)
        return next((worker for worker in self._workers.values() if meta.key_of(worker.pod) == wanted), None)

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        """A pod anywhere has changed; only those bound to this node count."""
        if new is None:
            if old is not None and (worker := self._workers.get(meta.uid(old))):
                worker.update(None)
            self._waiting.pop(meta.uid(old) if old else "", None)
            return
        if (new.get("spec") or {}).get("nodeName") != self._host.node:
            return
        if worker := self._workers.get(meta.uid(new)):
            worker.update(new)
        elif self._group is None:
            self._waiting[meta.uid(new)] = new
        else:
            self._start(new)

    def node_changed(self, node: Object | None) -> None:
        """Our Node has changed; its pod range may have come."""
        cidr = ((node or {}).get("spec") or {}).get("podCIDR")
        if cidr and self._addresses() is None:
            known = [*self._waiting.values(), *(worker.pod for worker in self._workers.values())]
            self._addresses.take_range(cidr, known)
            log.info("node has its pod range", node=self._host.node, cidr=cidr)
            for worker in self._workers.values():
                worker.wake()

    async def run(self) -> None:
        """Work until cancelled. Pods known by then have their addresses before the first new one gets one."""
        for pod in self._waiting.values():
            self._addresses.adopt(pod)
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for pod in self._waiting.values():
                    self._start(pod)
                self._waiting.clear()
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    def _start(self, pod: Object) -> None:
        assert self._group is not None
        worker = PodWorker(pod, self._host)
        self._workers[meta.uid(pod)] = worker
        self._group.create_task(self._supervise(worker), name=f"pod {meta.key_of(pod)}")

    async def _supervise(self, worker: PodWorker) -> None:
        """Run a worker to its end. A bug in it costs this pod a restart, never the node."""
        uid = meta.uid(worker.pod)
        try:
            while True:
                try:
                    await worker.run()
                except Exception:  # the agent's loop is one of the three supervisors
                    log.exception("pod worker failed", pod=meta.key_of(worker.pod))
                    await self._host.clock.sleep(RETRY_S)
                else:
                    return
        finally:
            self._workers.pop(uid, None)
