"""How far a rollout is, as kubectl tells it. Pure: an object in, a line and whether it is done out."""

from collections.abc import Callable
from typing import NamedTuple

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.cli.failures import OneFailed


class Progress(NamedTuple):
    """The line to print; no more will come once it is done."""

    line: str
    done: bool = False


def _spec_seen(obj: Object) -> bool:
    return bool((obj.get("status") or {}).get("observedGeneration", 0) >= meta.generation(obj))


def _needs_rolling_update(obj: Object) -> None:
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        raise OneFailed("rollout status is only available for RollingUpdate strategy type")


def deployment(obj: Object) -> Progress:
    """Of a Deployment. Raises OneFailed once its progress deadline is over."""
    if not _spec_seen(obj):
        return Progress("Waiting for deployment spec update to be observed...")
    name, status = meta.name(obj), obj.get("status") or {}
    if (meta.condition(obj, "Progressing") or {}).get("reason") == "ProgressDeadlineExceeded":
        raise OneFailed(f'deployment "{name}" exceeded its progress deadline')
    wanted, updated = obj["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish:'
    if updated < wanted:
        return Progress(f"{waiting} {updated} out of {wanted} new replicas have been updated...")
    if (old := status.get("replicas", 0) - updated) > 0:
        return Progress(f"{waiting} {old} old replicas are pending termination...")
    if (available := status.get("availableReplicas", 0)) < updated:
        return Progress(f"{waiting} {available} of {updated} updated replicas are available...")
    return Progress(f'deployment "{name}" successfully rolled out', done=True)


def daemon_set(obj: Object) -> Progress:
    """Of a DaemonSet. Raises OneFailed where it does not roll."""
    _needs_rolling_update(obj)
    if not _spec_seen(obj):
        return Progress("Waiting for daemon set spec update to be observed...")
    name, status = meta.name(obj), obj.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish:'
    if (updated := status.get("updatedNumberScheduled", 0)) < wanted:
        return Progress(f"{waiting} {updated} out of {wanted} new pods have been updated...")
    if (available := status.get("numberAvailable", 0)) < wanted:
        return Progress(f"{waiting} {available} of {wanted} updated pods are available...")
    return Progress(f'daemon set "{name}" successfully rolled out', done=True)


def stateful_set(obj: Object) -> Progress:
    """Of a StatefulSet. Raises OneFailed where it does not roll."""
    _needs_rolling_update(obj)
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    if not status.get("observedGeneration") or not _spec_seen(obj):
        return Progress("Waiting for statefulset spec update to be observed...")
    if (ready := status.get("readyReplicas", 0)) < wanted:
        return Progress(f"Waiting for {wanted - ready} pods to be ready...")
    updated = status.get("updatedReplicas", 0)
    if partition := (obj["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition", 0):
        if updated < wanted - partition:
            told = f"{updated} out of {wanted - partition} new pods have been updated..."
            return Progress(f"Waiting for partitioned roll out to finish: {told}")
        return Progress(f"partitioned roll out complete: {updated} new pods have been updated...", done=True)
    if (revision := status.get("updateRevision")) != status.get("currentRevision"):
        return Progress(f"waiting for statefulset rolling update to complete {updated} pods at revision {revision}...")
    told = f"{status.get('currentReplicas', 0)} pods at revision {status.get('currentRevision')}..."
    return Progress(f"statefulset rolling update complete {told}", done=True)


PROGRESS: dict[str, Callable[[Object], Progress]] = {
    "Deployment": deployment,
    "DaemonSet": daemon_set,
    "StatefulSet": stateful_set,
}
