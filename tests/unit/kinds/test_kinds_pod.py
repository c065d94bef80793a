"""Pods: defaults, rules, what an update may change, and how a table shows their state."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from miniplane.api.table import cells
from miniplane.kinds import POD

NOW = datetime(2026, 1, 2, 0, 0, 0, tzinfo=UTC)
Object = dict[str, Any]


def pod(**spec: Any) -> Object:
    """A defaulted pod of one container."""
    obj = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec},
    }
    POD.defaults(obj)
    return obj


def errors(obj: Object, old: Object | None = None) -> list[str]:
    """The errors as `field: message`."""
    return [f"{error.field}: {error.message}" for error in POD.strategy.validate(obj, old)]


def row(obj: Object) -> dict[str, Any]:
    """The cells of a pod by the names of their columns."""
    return dict(zip([column.name for column in POD.columns], cells(POD, obj, NOW), strict=True))


def state(status: Object, **spec: Any) -> dict[str, Any]:
    """The row of a pod in that state."""
    return row({**pod(**spec), "status": status})


def test_defaults_are_upstreams() -> None:
    """A minimal pod gets the defaults of the pod, its container, port and probe."""
    container = {
        "name": "web",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80}],
        "readinessProbe": {"httpGet": {"port": 80}},
        "resources": {"limits": {"cpu": "1"}},
    }
    spec = pod(containers=[container])["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["securityContext"] == {}
    assert spec["enableServiceLinks"] is True
    (filled,) = spec["containers"]
    assert filled["imagePullPolicy"] == "IfNotPresent"
    assert filled["terminationMessagePath"] == "/dev/termination-log"
    assert filled["terminationMessagePolicy"] == "File"
    assert filled["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert filled["resources"]["requests"] == {"cpu": "1"}
    assert filled["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry.example:5000/nginx", "Always"),
        ("registry.example:5000/nginx:1.2", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    """An image without tag, or with `latest`, is always pulled."""
    (container,) = pod(containers=[{"name": "web", "image": image}])["spec"]["containers"]
    assert container["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1024Mi"}}, "Guaranteed"),
    ],
)
def test_new_pods_are_pending_with_their_class(resources: Object, quality: str) -> None:
    """A new pod's status is Pending and says the class that its amounts give it."""
    obj = pod(containers=[{"name": "web", "image": "nginx", "resources": resources}])
    POD.strategy.prepare(obj, None)
    assert obj["status"] == {"phase": "Pending", "qosClass": quality}


def container(**fields: Any) -> Object:
    """A pod spec's fields with one container that has these."""
    return {"containers": [{"name": "web", "image": "nginx", **fields}]}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        (container(image=""), "spec.containers[0].image: Required value"),
        (container(name=""), "spec.containers[0].name: Required value"),
        (container(image=" nginx"), 'spec.containers[0].image: Invalid value: " nginx": must not have leading or'),
        (
            {"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]},
            'spec.containers[1].name: Duplicate value: "a"',
        ),
        (
            container(ports=[{"containerPort": 70000}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            container(ports=[{"containerPort": 80, "protocol": "ICMP"}]),
            'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            container(livenessProbe={"httpGet": {"port": 80}, "successThreshold": 2}),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            container(readinessProbe={}),
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
        ),
        (
            container(readinessProbe={"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}),
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            container(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]),
            'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (
            container(volumeMounts=[{"name": "data", "mountPath": "/data"}]),
            'spec.containers[0].volumeMounts[0].name: Not found: "data"',
        ),
        (
            container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            container(resources={"requests": {"memory": "-1"}}),
            'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        ({"restartPolicy": "Sometimes"}, 'spec.restartPolicy: Unsupported value: "Sometimes": supported values:'),
        ({"dnsPolicy": "None"}, "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
        (
            {"activeDeadlineSeconds": 0},
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            {"tolerations": [{"operator": "Equal"}]},
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
        ),
    ],
)
def test_rules_name_the_field(spec: Object, error: str) -> None:
    """A broken rule is told with upstream's field path and words."""
    assert [text for text in errors(pod(**spec)) if text.startswith(error)], errors(pod(**spec))


def test_updates_of_what_may_change() -> None:
    """Images, deadlines and added tolerations may change; so may the order of nothing else."""
    old = pod()
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "nginx:2"
    new["spec"]["activeDeadlineSeconds"] = 60
    new["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    assert errors(new, old) == []
    assert errors(old, new) == [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
    ]


@pytest.mark.parametrize("key", ["nodeName", "hostname", "priorityClassName"])
def test_updates_of_what_may_not_change(key: str) -> None:
    """Any other field of the spec is fixed once the pod exists."""
    (error,) = errors(pod(**{key: "other"}), pod())
    assert error.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`")


def test_updates_may_leave_out_what_is_empty() -> None:
    """False, null and empty values that a client leaves out are no change."""
    assert errors(pod(), pod(hostNetwork=False, nodeSelector={}, volumes=[], hostname="", affinity=None)) == []


def test_updates_keep_the_number_of_containers() -> None:
    """Containers can't be added, and that alone is told."""
    two = [{"name": "a", "image": "x"}, {"name": "web", "image": "nginx"}]
    assert errors(pod(containers=two), pod()) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_a_negative_grace_period_may_become_one() -> None:
    """A stored grace period below 0 can be set to 1, left alone, and nothing else."""
    old = pod(terminationGracePeriodSeconds=-5)
    assert errors(pod(terminationGracePeriodSeconds=1), old) == []
    assert errors(copy.deepcopy(old), old) == []
    assert errors(pod(terminationGracePeriodSeconds=2), old) != []


def test_warnings_for_hidden_variables() -> None:
    """A variable that is given twice is legal and warned of."""
    obj = pod(**container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]))
    assert errors(obj) == []
    assert list(POD.strategy.warnings(obj, None)) == [
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'
    ]


def running(**fields: Any) -> Object:
    """A container's status while it runs."""
    return {"name": "web", "ready": True, "restartCount": 0, "state": {"running": {}}, **fields}


def ended(reason: str, code: int = 0) -> Object:
    """A container's status after its end."""
    return running(ready=False, state={"terminated": {"exitCode": code, "reason": reason}})


READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [running()]}, "Running"),
        (
            {
                "phase": "Running",
                "containerStatuses": [running(ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}})],
            },
            "CrashLoopBackOff",
        ),
        ({"phase": "Succeeded", "containerStatuses": [ended("Completed")]}, "Completed"),
        ({"phase": "Failed", "containerStatuses": [ended("", 3)]}, "ExitCode:3"),
        ({"phase": "Running", "containerStatuses": [ended("Completed"), running()]}, "NotReady"),
        (
            {"phase": "Running", "conditions": [READY], "containerStatuses": [ended("Completed"), running()]},
            "Running",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            "SchedulingGated",
        ),
    ],
)
def test_status_column(status: Object, shown: str) -> None:
    """STATUS tells the phase, or the reason of the container that keeps the pod from running."""
    assert state(status)["Status"] == shown


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "Init:0/2"),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, "Init:CrashLoopBackOff"),
        ({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}, "Init:Error"),
        ({"state": {"terminated": {"exitCode": 2}}}, "Init:ExitCode:2"),
        ({"state": {"terminated": {"exitCode": 0}}}, "Init:1/2"),
    ],
)
def test_status_column_of_init_containers(first: Object, shown: str) -> None:
    """While init containers run, STATUS tells how far they are."""
    inits = [{"name": name, "image": "x"} for name in ("one", "two")]
    statuses = [{"name": "one", **first}, {"name": "two", "state": {"waiting": {}}}]
    assert state({"phase": "Pending", "initContainerStatuses": statuses}, initContainers=inits)["Status"] == shown


def test_deleted_pods_are_terminating() -> None:
    """A pod with a deletion time is Terminating, unless it has ended or its node is lost."""
    obj = {**pod(), "status": {"phase": "Running", "containerStatuses": [running()]}}
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert row(obj)["Status"] == "Terminating"
    obj["status"]["reason"] = "NodeLost"
    assert row(obj)["Status"] == "Unknown"


def test_ready_and_restarts_columns() -> None:
    """READY counts sidecars too; RESTARTS says when a container ended last."""
    last = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T23:55:00Z"}}
    sidecar = {"name": "mesh", "image": "x", "restartPolicy": "Always"}
    status = {
        "phase": "Running",
        "initContainerStatuses": [{"name": "mesh", "ready": True, "started": True, "state": {"running": {}}}],
        "containerStatuses": [running(restartCount=3, lastState=last)],
        "podIPs": [{"ip": "10.244.1.5"}],
    }
    shown = state(status, initContainers=[sidecar], nodeName="node-1")
    assert (shown["Ready"], shown["Restarts"]) == ("2/2", "3 (5m ago)")
    assert (shown["IP"], shown["Node"], shown["Nominated Node"]) == ("10.244.1.5", "node-1", "<none>")
