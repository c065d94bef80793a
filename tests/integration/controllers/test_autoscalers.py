"""HorizontalPodAutoscalers keep bounds and follow metrics, on the real API server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from controllers import deployment as deployments
from controllers import horizontalpodautoscaler, replicaset
from miniplane.api import meta
from miniplane.api.kind import Kind, Object, Scope
from miniplane.api.meta import Key
from miniplane.kinds import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, EVENT, HORIZONTAL_POD_AUTOSCALER, POD
from miniplane.testing.clock import SimulatedClock

WEB = Key("default", "web")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def autoscaler(**target: str) -> Object:
    """From three to five replicas."""
    spec = {"minReplicas": 3, "maxReplicas": 5, "scaleTargetRef": TARGET | target}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def reasons(item: Object) -> dict[str, str]:
    """`{condition: reason}`."""
    return {one["type"]: one["reason"] for one in (item.get("status") or {}).get("conditions") or ()}


async def test_bounds_hold_without_metrics(world: Any, deployment: Callable[..., Object]) -> None:
    """A target outside the bounds is brought in; then a condition says that nobody serves metrics."""
    running = world.running(horizontalpodautoscaler.controller(), deployments.on, replicaset.controller())
    async with running as manager, world.kubelets():
        await world.client.create(DEPLOYMENT, deployment(replicas=1))
        await world.client.create(HORIZONTAL_POD_AUTOSCALER, autoscaler())
        await world.until_one(DEPLOYMENT, WEB, lambda item: item["spec"]["replicas"] == 3)
        told = await world.until_one(
            HORIZONTAL_POD_AUTOSCALER, WEB, lambda item: reasons(item).get("ScalingActive") == "FailedGetResourceMetric"
        )
        assert (meta.condition(told, "ScalingActive") or {})["message"] == (
            "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for "
            "resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested "
            "resource (get pods.metrics.k8s.io)"
        )
        events = await world.until(EVENT, lambda seen: any(e["reason"] == "SuccessfulRescale" for e in seen.values()))
        await world.settled(manager)
        assert (await world.client.get(DEPLOYMENT, "web", "default"))["spec"]["replicas"] == 3
    (event,) = [item for item in events.values() if item["reason"] == "SuccessfulRescale"]
    assert event["message"] == "New size: 3; reason: Current number of replicas below Spec.MinReplicas"


async def test_a_target_that_cannot_be_scaled_is_told(world: Any) -> None:
    """A name that nobody has is no reason to fail silently."""
    async with world.running(horizontalpodautoscaler.controller()):
        await world.client.create(HORIZONTAL_POD_AUTOSCALER, autoscaler(name="nobody"))
        told = await world.until_one(
            HORIZONTAL_POD_AUTOSCALER, WEB, lambda item: reasons(item).get("AbleToScale") == "FailedGetScale"
        )
    assert 'deployments.apps "nobody" not found' in (meta.condition(told, "AbleToScale") or {})["message"]


POD_METRICS = Kind(group="metrics.k8s.io", version="v1beta1", kind="PodMetrics", plural="pods", scope=Scope.NAMESPACED)


async def serve_metrics(world: Any) -> None:
    """Let metrics.k8s.io be served, from objects that a test writes."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "pods", "singular": "pod", "kind": "PodMetrics", "listKind": "PodMetricsList"}
    await world.client.create(
        CUSTOM_RESOURCE_DEFINITION,
        {
            "metadata": {"name": "pods.metrics.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved"}},
            "spec": {"group": "metrics.k8s.io", "scope": "Namespaced", "names": names, "versions": [version]},
        },
    )
    await world.until_one(
        CUSTOM_RESOURCE_DEFINITION,
        Key("", "pods.metrics.k8s.io"),
        lambda item: meta.is_condition_true(item, "Established"),
    )


async def test_replicas_follow_the_metrics(world: Any, deployment: Callable[..., Object]) -> None:
    """Pods that use more than the target get help, and the status tells what they use."""
    made = deployment(replicas=3)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    await serve_metrics(world)
    async with world.running(deployments.on, replicaset.controller()), world.kubelets():
        await world.client.create(DEPLOYMENT, made)
        await world.until_one(DEPLOYMENT, WEB, lambda item: (item.get("status") or {}).get("readyReplicas") == 3)
    for pod in (await world.client.list(POD)).items:
        start = {"status": {"startTime": "2026-01-01T00:00:00Z"}}
        await world.client.patch(POD, meta.key_of(pod), start, subresource="status")
        usage = {"containers": [{"name": "c", "usage": {"cpu": "120m"}}], "window": "15s"}
        metadata = {"name": meta.name(pod), "namespace": "default", "labels": {"app": "web"}}
        body = usage | {"metadata": metadata, "timestamp": meta.timestamp(world.client.clock.now())}
        await world.client.create(POD_METRICS, body)
    later = SimulatedClock(world.client.clock.now() + timedelta(hours=1))
    async with world.running(horizontalpodautoscaler.controller(), clock=later):
        await world.client.create(HORIZONTAL_POD_AUTOSCALER, autoscaler())
        await world.until_one(DEPLOYMENT, WEB, lambda item: item["spec"]["replicas"] == 5)
        told = await world.until_one(
            HORIZONTAL_POD_AUTOSCALER, WEB, lambda item: reasons(item).get("ScalingActive") == "ValidMetricFound"
        )
    assert told["status"]["desiredReplicas"] == 5
    current = told["status"]["currentMetrics"][0]["resource"]["current"]
    assert current == {"averageUtilization": 120, "averageValue": "120m"}
