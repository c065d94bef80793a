"""One pod from its binding to its last delete."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.kubelet.environment import Reference
from agents.kubelet.host import Host
from agents.kubelet.http import Request, fetch
from agents.kubelet.images.catalogue import Catalogue
from agents.kubelet.pods import PodWorker
from agents.network.ipam import Ipam
from miniplane import config
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.errors import Conflict, NotFound, Unavailable
from tests.unit.kubelet.fakes import ManualClock, MemoryNetwork, settle


class World:
    """A node with one pod on it; it is also the API server that the worker sees."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.clock = ManualClock()
        self.ipam: Ipam | None = Ipam("10.244.1.0/24")
        self.events: list[tuple[str, str]] = []
        self.statuses: list[Object] = []
        self.finished: list[str] = []
        self.objects: dict[tuple[str, str], Object] = {}
        self.is_down = False
        self.revision = 1
        self.worker: PodWorker
        self.task: asyncio.Task[None]

    async def report(self, pod: Object, status: Object) -> int:  # noqa: ARG002 - the contract
        """Keep the status and let the worker see it, as a watch would."""
        if self.is_down:
            raise Unavailable("down")
        self.statuses.append(copy.deepcopy(status))
        others = [
            item
            for item in (self.worker.pod.get("status") or {}).get("conditions") or ()
            if item["type"] not in {own["type"] for own in status["conditions"]}
        ]
        stored = copy.deepcopy(status) | {"conditions": [*others, *copy.deepcopy(status["conditions"])]}
        return self.store(stored)

    def store(self, status: Object) -> int:
        """Somebody writes the status, and the worker sees it."""
        metadata = self.worker.pod["metadata"]
        self.revision += 1
        pod = self.worker.pod | {"status": status, "metadata": metadata | {"resourceVersion": str(self.revision)}}
        self.worker.update(pod)
        return self.revision

    async def finish(self, pod: Object) -> None:
        """The object goes, and the watch says so."""
        self.finished.append(pod["metadata"]["uid"])
        self.worker.update(None)

    async def fetch(self, namespace: str, reference: Reference) -> Object | None:  # noqa: ARG002 - the contract
        """What was put into `objects`."""
        return self.objects.get((reference.kind, reference.name))

    @property
    def status(self) -> Object:
        """The status as last reported."""
        return self.statuses[-1]

    @property
    def reasons(self) -> list[str]:
        """The reasons of all events."""
        return [reason for reason, _ in self.events]

    def container(self, index: int = 0) -> Object:
        """One entry of containerStatuses."""
        found: Object = self.status["containerStatuses"][index]
        return found

    def condition(self, kind: str) -> Object:
        """One condition."""
        return next(item for item in self.status["conditions"] if item["type"] == kind)

    def host(self) -> Host:
        """The node."""
        return Host(
            node="node-1",
            ip="172.30.0.11",
            network=self.network,
            api=self,
            catalogue=Catalogue(),
            clock=self.clock,
            cluster=config.Network(),
            event=lambda _pod, _type, reason, message: self.events.append((reason, message)),
            addresses=lambda: self.ipam,
        )

    async def run(
        self, *containers: Object, meta_: Object | None = None, status: Object | None = None, **spec: Any
    ) -> None:
        """Bind a pod to the node."""
        pod = {
            "metadata": {"name": "p", "namespace": "default", "uid": "u1", **(meta_ or {})},
            "spec": {"containers": list(containers), "nodeName": "node-1", **spec},
            "status": status or {},
        }
        self.worker = PodWorker(pod, self.host())
        self.task = asyncio.create_task(self.worker.run())
        await settle()

    async def delete(self, grace_s: int = 30) -> None:
        """Ask for the pod's deletion, as the API server does."""
        more = {"deletionTimestamp": meta.timestamp(self.clock.now()), "deletionGracePeriodSeconds": grace_s}
        pod = self.worker.pod
        self.worker.update(pod | {"metadata": pod["metadata"] | more})
        await settle()

    async def annotate(self, **annotations: str) -> None:
        """Change the pod's annotations."""
        pod = self.worker.pod
        self.worker.update(pod | {"metadata": pod["metadata"] | {"annotations": annotations}})
        await settle()

    async def get(self, target: str = "/hostname", port: int = 80) -> int:
        """The status code of the pod's answer."""
        return (await fetch(self.network.host(), Request(host="10.244.1.2", port=port, target=target))).status


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A node; its pod's worker is stopped at the end and must leave nothing."""
    made = World()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    await settle()
    assert not made.network.links
    assert not made.network.listening
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


NGINX: Object = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}


def shell(script: str, name: str = "main", **more: Any) -> Object:
    """A container that runs a script."""
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


async def test_pod_gets_an_address_and_runs(world: World) -> None:
    """One status report takes a new pod to Running and Ready with the node's first pod address; it serves."""
    await world.run(NGINX)
    assert len(world.statuses) == 1
    assert world.status["phase"] == "Running"
    assert (world.status["podIP"], world.status["podIPs"]) == ("10.244.1.2", [{"ip": "10.244.1.2"}])
    assert (world.status["hostIP"], world.status["hostIPs"]) == ("172.30.0.11", [{"ip": "172.30.0.11"}])
    assert {item["type"]: item["status"] for item in world.status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert world.reasons == ["Pulled", "Created", "Started"]
    assert await world.get() == 200


async def test_container_status_has_every_required_field(world: World) -> None:
    """Clients validate the reply: name, image, imageID, ready, restartCount, state, containerID are there."""
    await world.run(NGINX)
    status = world.container()
    assert status["containerID"].startswith("miniplane://")
    assert status["imageID"].startswith("miniplane://sha256:")
    assert status["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    assert (status["ready"], status["started"], status["restartCount"], status["lastState"]) == (True, True, 0, {})


async def test_waits_for_the_nodes_pod_range(world: World) -> None:
    """Without podCIDR the pod is Pending with ContainerCreating, and goes on when the range is there."""
    world.ipam = None
    await world.run(NGINX)
    assert world.status["phase"] == "Pending"
    assert world.container()["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert world.condition("PodReadyToStartContainers")["status"] == "False"
    world.ipam = Ipam("10.244.1.0/24")
    world.worker.wake()
    await settle()
    assert world.status["phase"] == "Running"


async def test_exhausted_range_is_told_and_tried_again(world: World) -> None:
    """Without a free address there is an event, and the pod runs once one is released."""
    world.ipam = Ipam("10.244.1.0/29")
    for owner in range(5):
        world.ipam.allocate(str(owner))
    await world.run(NGINX)
    assert world.reasons == ["FailedCreatePodSandBox"]
    world.ipam.release("0")
    await world.clock.advance(5)
    assert world.status["phase"] == "Running"


async def test_wrong_arguments_end_the_container_not_the_worker(world: World) -> None:
    """A program that can't read its flags exits with 1, as its status and log say, and is started again later."""
    await world.run({"name": "echo", "image": "hashicorp/http-echo", "args": ["-text=x", "-listen=:http"]})
    status = world.container()
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 1)
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert not world.task.done()


async def test_crash_loop_backs_off(world: World) -> None:
    """The first restart is at once, the next after 10, then 20 seconds; the state says CrashLoopBackOff meanwhile."""
    await world.run(shell("exit 3"))
    assert world.container()["restartCount"] == 1
    assert world.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "back-off 10s restarting failed container=main" in world.container()["state"]["waiting"]["message"]
    assert world.container()["lastState"]["terminated"]["exitCode"] == 3
    assert world.container()["lastState"]["terminated"]["reason"] == "Error"
    assert world.status["phase"] == "Running"
    await world.clock.advance(9)
    assert world.container()["restartCount"] == 1
    await world.clock.advance(2)
    assert world.container()["restartCount"] == 2
    assert "back-off 20s" in world.container()["state"]["waiting"]["message"]
    await world.clock.advance(21)
    assert world.container()["restartCount"] == 3
    assert "BackOff" in world.reasons
    assert world.condition("Ready")["reason"] == "ContainersNotReady"


@pytest.mark.parametrize(
    ("policy", "script", "phase", "restarts", "reason"),
    [
        ("Never", "exit 0", "Succeeded", 0, "PodCompleted"),
        ("Never", "exit 1", "Failed", 0, "PodFailed"),
        ("OnFailure", "exit 0", "Succeeded", 0, "PodCompleted"),
        ("OnFailure", "exit 1", "Running", 1, "ContainersNotReady"),
        ("Always", "exit 0", "Running", 1, "ContainersNotReady"),
    ],
)
async def test_restart_policies(world: World, policy: str, script: str, phase: str, restarts: int, reason: str) -> None:
    """What follows an end depends on policy and exit code."""
    await world.run(shell(script), restartPolicy=policy)
    assert world.status["phase"] == phase
    assert world.container()["restartCount"] == restarts
    assert world.condition("Ready")["reason"] == reason


async def test_finished_pod_gives_its_address_back(world: World) -> None:
    """A completed pod keeps its address in its status, but another pod may have it."""
    await world.run(shell("echo done"), restartPolicy="Never")
    assert world.status["podIP"] == "10.244.1.2"
    assert not world.network.links
    assert world.ipam is not None
    assert len(world.ipam) == 0


async def test_init_containers_run_in_order(world: World) -> None:
    """The second starts when the first has ended well, the main one after both; until then PodInitializing."""
    await world.run(
        NGINX,
        initContainers=[shell("sleep 5", "first"), shell("sleep 5", "second")],
    )
    assert world.status["phase"] == "Pending"
    assert world.container()["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert world.condition("Initialized")["message"] == "containers with incomplete status: [first second]"
    states = [next(iter(item["state"])) for item in world.status["initContainerStatuses"]]
    assert states == ["running", "waiting"]
    await world.clock.advance(5)
    assert world.condition("Initialized")["message"] == "containers with incomplete status: [second]"
    await world.clock.advance(5)
    assert world.status["phase"] == "Running"
    assert world.condition("Initialized")["status"] == "True"
    assert world.status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


async def test_failing_init_container(world: World) -> None:
    """With policy Never it fails the pod; otherwise it is tried again and the pod stays Pending."""
    await world.run(NGINX, initContainers=[shell("exit 1", "init")], restartPolicy="Never")
    assert world.status["phase"] == "Failed"
    assert world.container()["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_sidecar_init_container_stays(world: World) -> None:
    """An init container that always restarts lets the next one start while it runs, and is restarted when it ends."""
    sidecar = shell("sleep 60", "side", restartPolicy="Always")
    await world.run(shell("sleep 100"), initContainers=[sidecar, shell("true", "init")], restartPolicy="Never")
    assert world.status["phase"] == "Running"
    await world.clock.advance(61)
    assert world.status["initContainerStatuses"][0]["restartCount"] == 1
    await world.clock.advance(40)
    assert world.status["phase"] == "Succeeded"


async def test_readiness_probe_decides(world: World) -> None:
    """The pod is ready after the first good answer and unready after three bad ones."""
    probe = {"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 5, "initialDelaySeconds": 5}
    await world.run(NGINX | {"readinessProbe": probe})
    assert world.condition("ContainersReady")["message"] == "containers with unready status: [web]"
    container = world.worker.container("web")
    assert container is not None
    assert container.context is not None
    container.context.files["/tmp/ok"] = ""
    await world.clock.advance(5)
    assert world.condition("Ready")["status"] == "True"
    del container.context.files["/tmp/ok"]
    await world.clock.advance(11)
    assert world.condition("Ready")["status"] == "True"
    await world.clock.advance(5)
    assert world.condition("Ready")["status"] == "False"
    assert "Unhealthy" in world.reasons


async def test_liveness_probe_restarts(world: World) -> None:
    """The documentation's example: the file goes after 30 s, the container is restarted after three failures."""
    probe = {"exec": {"command": ["cat", "/tmp/healthy"]}, "initialDelaySeconds": 5, "periodSeconds": 5}
    await world.run(shell("touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600", livenessProbe=probe))
    await world.clock.advance(39)
    assert world.container()["restartCount"] == 0
    await world.clock.advance(6)
    assert world.container()["restartCount"] == 1
    assert ("Killing", "Container main failed liveness probe, will be restarted") in world.events
    assert world.container()["lastState"]["terminated"]["exitCode"] == 143


async def test_http_and_tcp_probes_go_out_from_the_node(world: World) -> None:
    """HTTP by port name, TCP by number; a refused connection is told as such."""
    good = {"httpGet": {"path": "/healthz", "port": "http"}}
    web = NGINX | {"ports": [{"name": "http", "containerPort": 80}], "readinessProbe": good}
    await world.run(web, {"name": "db", "image": "redis", "readinessProbe": {"tcpSocket": {"port": 6380}}})
    assert world.container(0)["ready"] is True
    assert world.container(1)["ready"] is False
    expected = "Readiness probe failed: dial tcp 10.244.1.2:6380: connect: connection refused"
    assert ("Unhealthy", expected) in world.events
    container = world.worker.container("web")
    assert container is not None
    assert any("172.30.0.11:" in line.text and "kube-probe" in line.text for line in container.log.lines())


async def test_startup_probe_holds_the_others_back(world: World) -> None:
    """Not started and not ready until the startup probe succeeds."""
    startup = {"exec": {"command": ["test", "-f", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30}
    await world.run(shell("sleep 10; touch /tmp/up; sleep 100", startupProbe=startup))
    assert (world.container()["started"], world.container()["ready"]) == (False, False)
    await world.clock.advance(11)
    assert (world.container()["started"], world.container()["ready"]) == (True, True)


async def test_unready_annotation_comes_and_goes(world: World) -> None:
    """The fault annotation makes a serving pod unready until it is taken away."""
    await world.run(NGINX)
    await world.annotate(**{"miniplane.io/unready": "true"})
    assert world.condition("Ready")["status"] == "False"
    assert await world.get() == 200
    await world.annotate()
    assert world.condition("Ready")["status"] == "True"


async def test_readiness_gates(world: World) -> None:
    """Ready needs the gate's condition, which somebody else sets and the kubelet leaves alone."""
    await world.run(NGINX, readinessGates=[{"conditionType": "example.com/gate"}])
    assert world.condition("ContainersReady")["status"] == "True"
    assert world.condition("Ready")["reason"] == "ReadinessGatesNotReady"
    pod = world.worker.pod
    gate = {"type": "example.com/gate", "status": "True"}
    conditions = [*pod["status"]["conditions"], gate]
    world.worker.update(pod | {"status": pod["status"] | {"conditions": conditions}})
    await settle()
    assert world.condition("Ready")["status"] == "True"


async def test_transition_times_stay_while_the_status_stays(world: World) -> None:
    """Ready's lastTransitionTime changes only when Ready does."""
    await world.run(shell("sleep 5; exit 1"))
    assert world.condition("Ready")["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    await world.clock.advance(5.5)
    assert world.container()["restartCount"] == 1
    assert world.condition("PodScheduled")["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    await world.clock.advance(5)
    assert world.condition("Ready")["lastTransitionTime"] == "2026-01-01T00:00:10Z"


async def test_deletion_serves_on_then_ends_with_a_delete(world: World) -> None:
    """After deletion the server answers for a while; then status, link and address go, and the last delete follows."""
    await world.run(NGINX)
    await world.delete()
    assert ("Killing", "Stopping container web") in world.events
    assert await world.get() == 200
    assert not world.finished
    await world.clock.advance(2)
    assert world.finished == ["u1"]
    assert world.container()["state"]["terminated"]["exitCode"] == 0
    assert world.condition("Ready")["status"] == "False"
    assert not world.network.links
    assert world.task.done()


async def test_pre_stop_hook_comes_before_the_end(world: World) -> None:
    """A preStop sleep keeps the container serving; the grace period bounds it."""
    await world.run(NGINX | {"lifecycle": {"preStop": {"sleep": {"seconds": 10}}}})
    await world.delete()
    await world.clock.advance(9)
    assert await world.get() == 200
    await world.clock.advance(3)
    assert world.finished == ["u1"]


async def test_grace_period_ends_with_a_kill(world: World) -> None:
    """A preStop hook that does not end is cut off, and the container is killed soon after the grace period."""
    await world.run(NGINX | {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "infinity"]}}}})
    await world.delete(5)
    await world.clock.advance(4.9)
    assert not world.finished
    await world.clock.advance(3)
    assert world.finished == ["u1"]


async def test_shorter_grace_period_counts(world: World) -> None:
    """A second deletion with less grace cuts the first one short."""
    await world.run(NGINX | {"lifecycle": {"preStop": {"sleep": {"seconds": 25}}}})
    await world.delete(30)
    await world.delete(1)
    await world.clock.advance(4)
    assert world.finished == ["u1"]


async def test_removed_object_kills_at_once(world: World) -> None:
    """If the object is gone (forced deletion) nothing of the pod is left, without a report."""
    await world.run(NGINX)
    count = len(world.statuses)
    world.worker.update(None)
    await settle()
    assert world.task.done()
    assert not world.network.listening
    assert len(world.statuses) == count


async def test_missing_config_map_holds_the_container(world: World) -> None:
    """A missing key holds it with CreateContainerConfigError; it starts once the object is there."""
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    await world.run(shell("echo A=$A; sleep 100", env=env))
    assert world.container()["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "settings" not found',
    }
    assert world.events == [("Failed", 'Error: configmap "settings" not found')]
    world.objects["configmap", "settings"] = {"data": {"a": "1"}}
    await world.clock.advance(2)
    container = world.worker.container("main")
    assert container is not None
    assert [line.text for line in container.log.lines()] == ["A=1"]


async def test_missing_volume_source_is_a_failed_mount(world: World) -> None:
    """A volume of a missing Secret holds the pod with one event; its files appear in the container later."""
    mount = {"name": "keys", "mountPath": "/keys"}
    await world.run(
        shell("cat /keys/a; echo; sleep 100", volumeMounts=[mount]),
        volumes=[{"name": "keys", "secret": {"secretName": "s"}}],
    )
    await world.clock.advance(5)
    assert world.events == [("FailedMount", 'MountVolume.SetUp failed for volume "keys" : secret "s" not found')]
    assert world.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    world.objects["secret", "s"] = {"data": {"a": "c2VjcmV0"}}
    await world.clock.advance(2)
    container = world.worker.container("main")
    assert container is not None
    assert [line.text for line in container.log.lines()] == ["secret"]


async def test_malformed_image_name(world: World) -> None:
    """A name that is no reference is InvalidImageName."""
    await world.run({"name": "c", "image": "UPPER/Case"})
    assert world.container()["state"]["waiting"]["reason"] == "InvalidImageName"


async def test_port_conflict_in_a_pod_crashes_the_second(world: World) -> None:
    """Two servers on one port: the second one ends with 1, as on a real node."""
    await world.run(NGINX, NGINX | {"name": "other"})
    assert world.container(0)["ready"] is True
    assert world.container(1)["lastState"]["terminated"]["exitCode"] == 1


async def test_restarted_agent_restarts_containers(world: World) -> None:
    """With the status of an earlier agent: same address, restartCount one more, the run before shown as lost."""
    before = {
        "podIP": "10.244.1.9",
        "startTime": "2025-12-31T00:00:00Z",
        "containerStatuses": [
            {"name": "web", "restartCount": 2, "state": {"running": {"startedAt": "2025-12-31T00:00:01Z"}}}
        ],
    }
    assert world.ipam is not None
    world.ipam.adopt("u1", "10.244.1.9")
    await world.run(NGINX, status=before)
    assert world.status["podIP"] == "10.244.1.9"
    assert world.status["startTime"] == "2025-12-31T00:00:00Z"
    assert world.container()["restartCount"] == 3
    assert world.container()["lastState"]["terminated"]["reason"] == "Unknown"
    assert world.container()["lastState"]["terminated"]["exitCode"] == 255


async def test_restarted_agent_leaves_finished_pods_alone(world: World) -> None:
    """A pod that had succeeded is neither run nor reported again."""
    await world.run(shell("true"), restartPolicy="Never")
    status = copy.deepcopy(world.status)
    count = len(world.statuses)
    world.task.cancel()
    await world.run(shell("true"), restartPolicy="Never", status=status)
    assert len(world.statuses) == count
    assert world.reasons.count("Started") == 1


async def test_unreachable_api_server_is_tried_again(world: World) -> None:
    """The pod runs meanwhile, and its status is written when the server is back."""
    world.is_down = True
    await world.run(NGINX)
    assert await world.get() == 200
    assert not world.statuses
    world.is_down = False
    await world.clock.advance(1)
    assert world.status["phase"] == "Running"


async def test_pod_that_is_gone_from_the_server_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last delete finds nothing the worker is done all the same."""

    async def finish(pod: Object) -> None:
        raise NotFound("gone")

    monkeypatch.setattr(world, "finish", finish)
    await world.run(NGINX)
    await world.delete()
    await world.clock.advance(2)
    assert world.task.done()


@pytest.mark.parametrize("request_", ["report", "finish"])
async def test_a_conflict_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch, request_: str) -> None:
    """The server gives up after too many other writers; the pod's status and its last delete must not be lost by it."""
    real, refused = getattr(world, request_), list[str]()

    async def busy(*args: Any) -> Any:
        if not refused:
            refused.append(request_)
            raise Conflict("the object has been modified")
        return await real(*args)

    monkeypatch.setattr(world, request_, busy)
    await world.run(NGINX)
    await world.clock.advance(1)
    assert world.status["phase"] == "Running"
    await world.delete()
    await world.clock.advance(3)
    assert (refused, world.finished) == ([request_], ["u1"])


async def test_a_status_written_over_is_written_again(world: World) -> None:
    """The node lifecycle takes readiness from the pods of a silent node; a kubelet that speaks again gives it back."""
    await world.run(NGINX)
    assert world.condition("Ready")["status"] == "True"
    since, told = world.condition("Ready")["lastTransitionTime"], len(world.statuses)
    await world.clock.advance(60)
    lost = copy.deepcopy(world.status)
    next(item for item in lost["conditions"] if item["type"] == "Ready")["status"] = "False"
    world.store(lost)
    await world.clock.advance(1)
    assert (world.condition("Ready")["status"], len(world.statuses)) == ("True", told + 1)
    assert world.condition("Ready")["lastTransitionTime"] > since


async def test_a_pod_fails_at_its_deadline(world: World) -> None:
    """After activeDeadlineSeconds it is Failed, its containers stop, and its address is free."""
    await world.run(NGINX, activeDeadlineSeconds=60)
    await world.clock.advance(59)
    assert world.status["phase"] == "Running"
    await world.clock.advance(1)
    assert (world.status["phase"], world.status["reason"]) == ("Failed", "DeadlineExceeded")
    assert "DeadlineExceeded" in world.reasons
    await world.clock.advance(31)
    assert "terminated" in world.container()["state"]
    assert not world.network.links


async def test_host_network_pod_has_the_nodes_address(world: World) -> None:
    """It uses no pod address and listens on the node."""
    await world.run(NGINX, hostNetwork=True)
    assert world.status["podIP"] == "172.30.0.11"
    assert ("172.30.0.11", 80) in world.network.listening
    assert world.ipam is not None
    assert len(world.ipam) == 0
