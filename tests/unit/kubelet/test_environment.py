"""Variables and files of a container."""

import pytest

from agents.kubelet.environment import ConfigError, Surroundings, expand, files, resource_value, variables
from miniplane.api.kind import Object

POD: Object = {
    "metadata": {"name": "p", "namespace": "default", "uid": "u", "labels": {"app": "x"}},
    "spec": {"containers": [], "serviceAccountName": "robot"},
}


def service(name: str, address: str, namespace: str = "default") -> Object:
    """A Service with one port."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": [{"port": 80, "name": "http"}]},
    }


def around(pod: Object = POD, **more: object) -> Surroundings:
    """What there is around a container of `pod`."""
    values: Object = {"pod": pod, "node": "n", "host_ip": "1.2.3.4", "pod_ip": "10.0.0.2", "hostname": "p", **more}
    return Surroundings(**values)


def test_downward_api() -> None:
    """Fields of the pod become values."""
    paths = ["metadata.name", "metadata.labels['app']", "status.podIP", "status.hostIP", "spec.nodeName"]
    env = [{"name": f"V{at}", "valueFrom": {"fieldRef": {"fieldPath": path}}} for at, path in enumerate(paths)]
    made = variables({"env": env}, around())
    assert [made[f"V{at}"] for at in range(5)] == ["p", "x", "10.0.0.2", "1.2.3.4", "n"]


def test_service_links() -> None:
    """Services of the namespace and the API's are there; without links only the API's; headless ones never."""
    services = [service("my-web", "10.96.0.5"), service("kubernetes", "10.96.0.1"), service("none", "None")]
    made = variables({}, around(services=services))
    assert made["MY_WEB_SERVICE_HOST"] == "10.96.0.5"
    assert made["MY_WEB_SERVICE_PORT_HTTP"] == "80"
    assert made["MY_WEB_PORT_80_TCP"] == "tcp://10.96.0.5:80"
    assert "NONE_SERVICE_HOST" not in made
    without = POD | {"spec": POD["spec"] | {"enableServiceLinks": False}}
    made = variables({}, around(without, services=services))
    assert "MY_WEB_SERVICE_HOST" not in made
    assert made["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


def test_references_and_their_absence() -> None:
    """Keys of ConfigMaps and Secrets, whole ones with a prefix; what is missing is an error unless optional."""
    objects = {("configmap", "c"): {"data": {"a": "1", "not valid": "x"}}, ("secret", "s"): {"data": {"b": "Mg=="}}}
    container: Object = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}],
        "env": [
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "b"}}},
            {"name": "N", "valueFrom": {"secretKeyRef": {"name": "s", "key": "nothing", "optional": True}}},
            {"name": "BOTH", "value": "$(P_a)-$(B)-$(C)-$$(B)"},
        ],
    }
    made = variables(container, around(objects=objects))
    assert (made["P_a"], made["B"], made["BOTH"]) == ("1", "2", "1-2-$(C)-$(B)")
    assert "N" not in made
    assert "P_not valid" not in made
    with pytest.raises(ConfigError, match='configmap "c" not found'):
        variables(container, around())
    missing = {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "z"}}}]}
    with pytest.raises(ConfigError, match="couldn't find key z in ConfigMap default/c"):
        variables(missing, around(objects=objects))


@pytest.mark.parametrize(("text", "value"), [("$(A)", "1"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A$$", "$A$")])
def test_expansion(text: str, value: str) -> None:
    """Known names are replaced, unknown ones stay, two dollars are one."""
    assert expand(text, {"A": "1"}) == value


def test_files_of_volumes() -> None:
    """Mounts show keys as files, `items` rename them, a subPath mounts one."""
    pod = POD | {
        "spec": {
            "containers": [],
            "volumes": [
                {"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "dir/b"}]}},
                {"name": "w", "configMap": {"name": "c"}},
            ],
        }
    }
    mounts = [
        {"name": "v", "mountPath": "/etc/v"},
        {"name": "w", "mountPath": "/one", "subPath": "a"},
    ]
    objects = {("configmap", "c"): {"data": {"a": "1", "z": "2"}}}
    made = files({"volumeMounts": mounts}, around(pod, objects=objects), {"/etc/hosts": "h"})
    assert made == {"/etc/hosts": "h", "/etc/v/dir/b": "1", "/one": "1"}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1m", "500"),
        ("limits.cpu", "0", "1"),
        ("requests.memory", "1Mi", "64"),
        ("limits.memory", "1Gi", "4"),
    ],
)
def test_resource_fields(resource: str, divisor: str, value: str) -> None:
    """Amounts are in units of the divisor, rounded up; an absent limit is the node's."""
    container = {"resources": {"limits": {"cpu": "500m"}, "requests": {"memory": "64Mi"}}}
    reference = {"resource": resource, "divisor": divisor}
    assert resource_value(reference, container, around(allocatable={"memory": "4Gi"})) == value
