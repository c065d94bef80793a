"""One pod on this node: from its binding to its last delete.

A worker per pod, level-driven: whenever something may have changed (the object, a container's end, a probe, a time) it
looks at what is wanted and what is, takes the steps that can be taken now, and reports the status if that changed.

    bound → address and link → volumes → init containers one by one → containers ⟲ restarts with back-off
    deletion → containers stop within the grace period → last status → link and address go → delete with grace 0

Counterpart upstream: kubelet's pod workers and `SyncPod`.
"""

import asyncio
from collections.abc import Sequence

from miniplane.aio import done_within, stop
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import FAULT_IMAGE_PULL
from miniplane.dataplane.dns_resolv import resolv_conf
from miniplane.errors import ApiError, NotFound
from miniplane.observe import logs

from ..network.base import Link
from ..network.ipam import Exhausted
from . import environment
from .applets.command import Command, is_known
from .containers import Container, Role, Surrounding
from .environment import ConfigError, Reference, Surroundings
from .host import Host
from .images.base import ContainerContext, Image
from .images.catalogue import invocation
from .resolver import Resolver, hostname, hosts_file
from .status import (
    OWN_CONDITIONS,
    RESTART_ALWAYS,
    RESTART_NEVER,
    PodView,
    Terminated,
    is_sidecar,
    phase,
    pod_status,
    restart_policy,
)

log = logs.get("agents.kubelet.pods")

RETRY_S = 2.0
"""Before looking again for a ConfigMap or Secret that is not there."""
NETWORK_RETRY_S = 5.0
API_RETRY_S = 1.0
GRACE_S = 30
_OVER = ("Succeeded", "Failed")
_ROLES = {"containers": Role.MAIN, "ephemeralContainers": Role.EPHEMERAL}


class _NotNow(Exception):
    """A container can't be made now."""

    def __init__(self, reason: str, message: str, *, event: tuple[str, str]) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.event = event


class PodWorker:
    """The worker of one pod."""

    def __init__(self, pod: Object, host: Host) -> None:
        self._pod = pod
        self._host = host
        self._wake = asyncio.Event()
        self._is_gone = False
        self._is_finished = False
        self._is_deleted = False
        self._link: Link | None = None
        self._resolver: Resolver | None = None
        self._files: dict[str, str] = {}
        self._objects: dict[tuple[str, str], Object] = {}
        self._has_volumes = False
        self._failure: tuple[str, str] | None = None
        self._sent: Object | None = None
        self._sent_revision = 0
        self._told: set[str] = set()
        self._pull_failed_s: dict[str, float] = {}
        """When the pull of a container's image first failed."""
        status = pod.get("status") or {}
        started = status.get("startTime")
        self._started_at = meta.parse_timestamp(started) if started else host.clock.now()
        self._ip: str = status.get("podIP", "")
        self._around = Surrounding(
            clock=host.clock,
            host=host.network.host(),
            wake=self._wake.set,
            event=self._event,
            grace_s=self._grace_s(),
        )
        self._init = self._containers("initContainers", "initContainerStatuses")
        self._main = self._containers("containers", "containerStatuses")
        self._ephemeral: list[Container] = []
        self._take_ephemeral()

    @property
    def _all(self) -> list[Container]:
        return [*self._init, *self._main, *self._ephemeral]

    def _take_ephemeral(self) -> None:
        """Know the ephemeral containers that the pod has now."""
        known = {container.name for container in self._ephemeral}
        made = self._containers("ephemeralContainers", "ephemeralContainerStatuses")
        self._ephemeral += [container for container in made if container.name not in known]

    def _containers(self, key: str, status_key: str) -> list[Container]:
        before = {item["name"]: item for item in (self._pod.get("status") or {}).get(status_key) or ()}
        made = []
        for spec in self._pod["spec"].get(key) or ():
            role = _ROLES.get(key) or (Role.SIDECAR if is_sidecar(spec) else Role.INIT)
            container = Container(spec, role, self._around)
            if spec["name"] in before:
                container.restore(before[spec["name"]])
            elif self._pod["spec"].get("initContainers") and role is Role.MAIN:
                container.wait("PodInitializing")
            made.append(container)
        return made

    @property
    def pod(self) -> Object:
        """The pod as last seen."""
        return self._pod

    @property
    def link(self) -> Link | None:
        """The pod's network, while it has one."""
        return self._link

    def container(self, name: str) -> Container | None:
        """The container of that name, init and ephemeral ones too."""
        return next((item for item in self._all if item.name == name), None)

    def update(self, pod: Object | None) -> None:
        """The pod's newest state; None when the API server has it no more."""
        if pod is None:
            self._is_gone = True
        else:
            self._pod = pod
            self._take_ephemeral()
        self._wake.set()

    def wake(self) -> None:
        """Look again: something of the node has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Work until the pod is gone. Cancelled, it leaves nothing running and tells nobody."""
        try:
            while True:
                self._wake.clear()
                try:
                    delays = [await self._step(), await self._report()]
                except ApiError as error:
                    log.warning("pod not synced", pod=meta.key_of(self._pod), error=error)
                    delays = [API_RETRY_S]
                if self._is_finished:
                    return
                known = [delay for delay in delays if delay is not None]
                await self._sleep(min(known) if known else None)
        finally:
            await self._tear_down()

    async def _sleep(self, seconds: float | None) -> None:
        if seconds is None:
            await self._wake.wait()
            return
        woken = asyncio.create_task(self._wake.wait(), name="wake")
        try:
            await done_within(self._host.clock, seconds, woken)
        finally:
            await stop(woken)

    async def _step(self) -> float | None:
        """Do what can be done now; the seconds after which to look again, None for no time."""
        for container in self._all:
            container.reap()
        if self._is_gone:
            self._is_finished = True
            return None
        if meta.is_deleted(self._pod):
            return await self._end()
        left_s = self._deadline()
        if phase(self._view()) in _OVER:
            return await self._rest()
        delay = await self._advance()
        return min((item for item in (left_s, delay) if item is not None), default=None)

    def _deadline(self) -> float | None:
        """The seconds that the pod may still be active; one that has had its time has failed."""
        limit_s = self._pod["spec"].get("activeDeadlineSeconds")
        if limit_s is None or phase(self._view()) in _OVER:
            return None
        left_s = limit_s - (self._host.clock.now() - self._started_at).total_seconds()
        if left_s <= 0:
            self._failure = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
            self._event("Normal", *self._failure)
        return float(left_s)

    async def _advance(self) -> float | None:
        """Towards running."""
        for prepare in (self._connect, self._mount):
            delay = await prepare()
            if delay is not None:
                return delay if delay > 0 else None
        delays: list[float | None] = [await self._run(container) for container in self._ephemeral]
        is_initialized = any(container.has_run for container in self._main)
        for container in self._init:
            if container.role is Role.SIDECAR or not is_initialized:
                delays.append(await self._run(container))
                if not (is_initialized or container.is_through):
                    return min((delay for delay in delays if delay is not None), default=None)
        delays += [await self._run(container) for container in self._main]
        return min((delay for delay in delays if delay is not None), default=None)

    async def _connect(self) -> float | None:
        """Address and link; 0 if they have to wait for the node."""
        if self._link is not None:
            return None
        if self._pod["spec"].get("hostNetwork"):
            self._take_link(self._host.network.host())
            return None
        addresses = self._host.addresses()
        if addresses is None:
            return 0.0
        try:
            address = addresses.allocate(meta.uid(self._pod))
            link = await self._host.network.attach(meta.uid(self._pod), address)
        except (Exhausted, OSError) as error:
            self._event_once("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            return NETWORK_RETRY_S
        self._take_link(link)
        return None

    def _take_link(self, link: Link) -> None:
        self._link, self._ip = link, link.ip
        conf = resolv_conf(self._pod, self._host.cluster, self._host.resolv_conf)
        hosts = hosts_file(self._pod, self._ip, self._host.cluster)
        self._resolver = Resolver(link, conf, hosts)
        self._files = {
            "/etc/hosts": hosts,
            "/etc/resolv.conf": str(conf),
            "/etc/hostname": f"{hostname(self._pod)}\n",
        }

    async def _mount(self) -> float | None:
        """What volumes are read from must be there."""
        if self._has_volumes:
            return None
        for volume in self._pod["spec"].get("volumes") or ():
            for reference in environment.volume_references({"spec": {"volumes": [volume]}}):
                if not await self._fetch(reference) and not reference.is_optional:
                    text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
                    self._event_once("Warning", "FailedMount", f'{text}{reference.kind} "{reference.name}" not found')
                    return RETRY_S
        self._has_volumes = True
        return None

    async def _fetch(self, reference: Reference) -> bool:
        key = (reference.kind, reference.name)
        obj = await self._host.api.fetch(meta.namespace(self._pod), reference)
        if obj is None:
            self._objects.pop(key, None)
            return False
        self._objects[key] = obj
        return True

    async def _run(self, container: Container) -> float | None:
        """Start the container if it should run and does not; the seconds until that may be tried again."""
        if container.is_running or not self._should_run(container):
            return None
        delay = container.backoff.remaining_s(container.ended_at, self._host.clock.monotonic())
        if delay > 0:
            if isinstance(container.state, Terminated):
                self._event(
                    "Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {self}"
                )
                delay_s = container.backoff.delay_s
                text = f"back-off {delay_s:g}s restarting failed container={container.name} pod={self}"
                container.wait("CrashLoopBackOff", text)
            return delay
        try:
            image, context = await self._prepare(container)
        except _NotNow as error:
            container.wait(error.reason, error.message)
            self._event_once("Warning", *error.event)
            return RETRY_S
        name = container.spec.get("image", "")
        self._event("Normal", "Pulled", f'Container image "{name}" already present on machine')
        self._event("Normal", "Created", f"Created container: {container.name}")
        self._told.clear()
        await container.start(image, context)
        self._event("Normal", "Started", f"Started container {container.name}")
        if not container.is_running:
            self._wake.set()
        return None

    def _should_run(self, container: Container) -> bool:
        if container.role is Role.EPHEMERAL:
            return not container.has_run
        if not isinstance(container.state, Terminated) or container.role is Role.SIDECAR:
            return True
        policy = restart_policy(self._pod)
        if container.role is Role.MAIN and policy == RESTART_ALWAYS:
            return True
        return policy != RESTART_NEVER and container.state.exit_code != 0

    async def _prepare(self, container: Container) -> tuple[Image, ContainerContext]:
        """What to start, and with what. Raises _NotNow."""
        spec = container.spec
        name = spec.get("image", "")
        self._check_pull(container)
        entry = self._host.catalogue.find(name)
        if entry is None:
            text = f'Failed to apply default image tag "{name}": couldn\'t parse image name'
            raise _NotNow("InvalidImageName", text, event=("InspectFailed", text))
        for reference in environment.references(spec):
            await self._fetch(reference)
        around = self._surroundings()
        try:
            env = environment.variables(spec, around)
            files = environment.files(spec, around, self._files)
        except ConfigError as error:
            raise _NotNow("CreateContainerConfigError", str(error), event=("Failed", f"Error: {error}")) from error
        asked = invocation(entry, spec)
        argv = [environment.expand(word, env) for word in asked.argv]
        is_applet = asked.is_command and is_known(argv[0])
        assert self._link is not None
        assert self._resolver is not None
        context = ContainerContext(
            pod=self._pod,
            container=spec,
            node=self._host.node,
            link=self._link,
            names=self._resolver,
            clock=self._host.clock,
            log=container.write,
            event=self._event,
            args=argv[1:] if asked.is_command else argv,
            env=env,
            files=files,
        )
        return (Command(argv, entry.server) if is_applet else entry.server), context

    def _check_pull(self, container: Container) -> None:
        """Fail as an annotation of the pod wants it. Raises _NotNow: ErrImagePull first, then ImagePullBackOff."""
        wanted = meta.annotations(self._pod).get(FAULT_IMAGE_PULL, "")
        if not {"*", container.name} & {word.strip() for word in wanted.split(",")}:
            self._pull_failed_s.pop(container.name, None)
            return
        image, now_s = container.spec.get("image", ""), self._host.clock.monotonic()
        if now_s - self._pull_failed_s.setdefault(container.name, now_s) >= RETRY_S:
            text = f'Back-off pulling image "{image}"'
            raise _NotNow("ImagePullBackOff", text, event=("BackOff", text))
        text = f'failed to pull and unpack image "{image}": the annotation {FAULT_IMAGE_PULL} says so'
        raise _NotNow("ErrImagePull", text, event=("Failed", f'Failed to pull image "{image}": {text}'))

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            pod=self._pod,
            node=self._host.node,
            host_ip=self._host.ip,
            pod_ip=self._ip,
            hostname=hostname(self._pod),
            allocatable=self._host.allocatable,
            services=self._host.services(meta.namespace(self._pod)),
            objects=self._objects,
        )

    async def _rest(self) -> float | None:
        """The pod is over: what still runs beside it stops, and its address is free."""
        if self._stop([*self._main, *self._ephemeral, *reversed(self._init)], GRACE_S):
            await self._release()
        return None

    async def _end(self) -> float | None:
        """Towards the last delete. The main containers stop first, then sidecars, last started first."""
        grace_s = self._grace_s()
        if not self._stop([*self._main, *self._ephemeral], grace_s):
            return None
        for container in reversed(self._init):
            if not self._stop([container], grace_s):
                return None
        if self._is_deleted:
            return None
        retry_s = await self._report()
        if retry_s is not None:
            return retry_s
        await self._release()
        try:
            await self._host.api.finish(self._pod)
        except NotFound:
            self._is_finished = True
        except ApiError as error:
            log.warning("pod not deleted", pod=meta.key_of(self._pod), error=error)
            return API_RETRY_S
        self._is_deleted = True
        return None

    def _stop(self, containers: Sequence[Container], grace_s: float) -> bool:
        """Ask those that run to end; whether none does."""
        for container in containers:
            if container.is_running:
                self._event_once("Normal", "Killing", f"Stopping container {container.name}")
                container.stop(grace_s)
        return not any(container.is_running for container in containers)

    def _grace_s(self) -> float:
        given = meta.metadata(self._pod).get("deletionGracePeriodSeconds")
        if given is None:
            given = self._pod["spec"].get("terminationGracePeriodSeconds")
        return float(GRACE_S if given is None else given)

    def _view(self) -> PodView:
        pod = self._pod
        if self._sent is not None and self._is_behind:
            # Our own conditions as we wrote them last.
            others = (pod.get("status") or {}).get("conditions") or ()
            conditions = [item for item in others if item.get("type") not in OWN_CONDITIONS]
            pod = {**pod, "status": {"conditions": [*conditions, *self._sent["conditions"]]}}
        return PodView(
            pod=pod,
            init=[container.view() for container in self._init],
            containers=[container.view() for container in self._main],
            ephemeral=[container.view() for container in self._ephemeral],
            host_ip=self._host.ip,
            ips=(self._ip,) if self._ip else (),
            has_network=self._link is not None,
            started_at=self._started_at,
            now=self._host.clock.now(),
            failure=self._failure,
        )

    @property
    def _is_behind(self) -> bool:
        """Whether the copy of the pod is older than the status written last."""
        return meta.revision(self._pod) < self._sent_revision

    def _is_told(self, status: Object) -> bool:
        """Whether the API server has this status; somebody else may have written over ours."""
        return status == self._sent if self._is_behind else _has(self._pod, status)

    async def _report(self) -> float | None:
        """Write the status if it is not what the API server has; the seconds until another try."""
        if self._is_gone or self._is_deleted or self._is_finished:
            return None
        status = pod_status(self._view())
        if self._is_told(status):
            return None
        try:
            self._sent_revision = await self._host.api.report(self._pod, status)
        except NotFound:
            return None
        except ApiError as error:
            log.warning("pod status not written", pod=meta.key_of(self._pod), error=error)
            return API_RETRY_S
        self._sent = status
        return None

    async def _release(self) -> None:
        """Link and address go. Idempotent."""
        if self._link is not None and not self._pod["spec"].get("hostNetwork"):
            await self._host.network.detach(meta.uid(self._pod))
        self._link = None
        if (addresses := self._host.addresses()) is not None:
            addresses.release(meta.uid(self._pod))

    async def _tear_down(self) -> None:
        for container in reversed(self._all):
            await container.kill()
        await self._release()

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._host.event(self._pod, kind, reason, message)

    def _event_once(self, kind: str, reason: str, message: str) -> None:
        """As `_event`, but not again with the same text until a container starts."""
        if message not in self._told:
            self._told.add(message)
            self._event(kind, reason, message)

    def __str__(self) -> str:
        return f"{meta.name(self._pod)}_{meta.namespace(self._pod)}({meta.uid(self._pod)})"


def _has(pod: Object, status: Object) -> bool:
    """Whether the pod's stored status says all of `status` already."""
    stored = pod.get("status") or {}
    own = [item for item in stored.get("conditions") or () if item.get("type") in OWN_CONDITIONS]
    return all(stored.get(key) == value for key, value in status.items() if key != "conditions") and all(
        item in own for item in status["conditions"]
    )
