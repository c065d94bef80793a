"""The default values of a pod spec and of what lies below it.

Counterpart upstream: pkg/apis/core/v1/defaults.go. All functions change their argument in place and may run twice.
"""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.kinds.fields import entries, fill, fill_zero, flag, is_set, number, open_section, section, text

_FILE_MODE = 0o644
_HOUR_S = 3600
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HOOKS = ("postStart", "preStop")
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def default_pod_spec(spec: Object) -> None:
    """Everything that a template's pod spec gets, too."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if text(spec, "serviceAccount") and not text(spec, "serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    if text(spec, "serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in all_containers(spec):
        _default_container(container)
    for volume in entries(spec, "volumes"):
        _default_volume(volume)


def default_pod(spec: Object) -> None:
    """What only a pod itself gets: requests from limits, service links, host ports."""
    fill(spec, enableServiceLinks=True)
    for key in ("initContainers", "containers"):
        for container in entries(spec, key):
            _default_requests(container)
            if flag(spec, "hostNetwork"):
                for port in entries(container, "ports"):
                    if number(port, "containerPort"):
                        fill_zero(port, hostPort=number(port, "containerPort"))


def all_containers(spec: Object) -> Iterator[Object]:
    """The containers of every sort, in the order in which they start."""
    for key in CONTAINER_LISTS:
        yield from entries(spec, key)


def image_tag(image: str) -> str:
    """The tag of an image reference, `latest` where it has neither tag nor digest."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or ("" if digest else "latest")


def _default_container(container: Object) -> None:
    pull = "Always" if image_tag(text(container, "image")) == "latest" else "IfNotPresent"
    fill(
        container,
        imagePullPolicy=pull,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in entries(container, "ports"):
        fill(port, protocol="TCP")
    for key in PROBES:
        if is_set(container, key):
            _default_probe(section(container, key))
    for key in HOOKS:
        _default_http_get(section(section(container, "lifecycle"), key))
    for variable in entries(container, "env"):
        _default_field_ref(section(variable, "valueFrom"))


def _default_probe(probe: Object) -> None:
    fill_zero(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _default_http_get(probe)
    if is_set(probe, "grpc"):
        fill(section(probe, "grpc"), service="")


def _default_http_get(handler: Object) -> None:
    if is_set(handler, "httpGet"):
        fill(section(handler, "httpGet"), path="/", scheme="HTTP")


def _default_field_ref(holder: Object) -> None:
    if is_set(holder, "fieldRef"):
        fill(section(holder, "fieldRef"), apiVersion="v1")


def _default_requests(container: Object) -> None:
    limits = section(section(container, "resources"), "limits")
    if limits:
        requests = open_section(open_section(container, "resources"), "requests")
        for name, quantity in limits.items():
            requests.setdefault(name, quantity)


def _default_volume(volume: Object) -> None:
    if not any(is_set(volume, key) for key in volume if key != "name"):
        volume["emptyDir"] = {}
    for key in ("secret", "configMap", "downwardAPI", "projected"):
        if is_set(volume, key):
            fill(section(volume, key), defaultMode=_FILE_MODE)
    if is_set(volume, "hostPath") and not is_set(section(volume, "hostPath"), "type"):
        section(volume, "hostPath")["type"] = ""
    for item in entries(section(volume, "downwardAPI"), "items"):
        _default_field_ref(item)
    for source in entries(section(volume, "projected"), "sources"):
        if is_set(source, "serviceAccountToken"):
            fill(section(source, "serviceAccountToken"), expirationSeconds=_HOUR_S)
        for item in entries(section(source, "downwardAPI"), "items"):
            _default_field_ref(item)
