"""HorizontalPodAutoscaler: sets the scale of its target by what the pods use; `scaling` says to what.

What pods use is asked of metrics.k8s.io, whoever serves that; where nobody does, the condition ScalingActive says so.
Upstream: pkg/controller/podautoscaler.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.api.quantity import Quantity
from miniplane.api.selectors import LabelSelector
from miniplane.client.requests import Request
from miniplane.errors import ApiError, Conflict, NotFound
from miniplane.kinds import HORIZONTAL_POD_AUTOSCALER, POD, REGISTRY
from miniplane.runtime import DONE, Context, On, Result, again

from . import scaling
from .scaling import Memory, NoMetric, Proposal, Usage

EVERY_S = 15.0
"""--horizontal-pod-autoscaler-sync-period."""
METRICS = "/apis/metrics.k8s.io/v1beta1"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(slots=True)
class _Round:
    """One look at an autoscaler: its conditions as they become."""

    autoscaler: Object
    now: datetime
    conditions: list[Object]

    def say(self, word: str, value: str, reason: str, message: str) -> None:
        """Set a condition."""
        new = {"type": word, "status": value, "reason": reason, "message": message}
        meta.set_condition(self.conditions, new, self.now)


@dataclass(slots=True)
class Autoscalers:
    """The reconciler. `memories` are by uid; a new process starts without, as upstream."""

    memories: dict[str, Memory] = field(default_factory=dict)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Look at one autoscaler's pods and set the scale that they need."""
        autoscaler = ctx.cache(HORIZONTAL_POD_AUTOSCALER).get(key)
        ctx.cache(POD)  # in sync, or this is tried again
        if autoscaler is None or meta.is_deleted(autoscaler):
            return DONE
        conditions = [*((autoscaler.get("status") or {}).get("conditions") or ())]
        status = await self._status(_Round(autoscaler, ctx.clock.now(), conditions), ctx)
        status |= {"conditions": conditions, "observedGeneration": meta.generation(autoscaler)}
        if status != (autoscaler.get("status") or {}):
            try:
                body = autoscaler | {"status": status}
                await ctx.client.update(HORIZONTAL_POD_AUTOSCALER, body, subresource="status")
            except NotFound:
                return DONE
        return again(EVERY_S)

    async def _status(self, look: _Round, ctx: Context) -> Object:
        """Scale, and give the status without its conditions."""
        autoscaler, old = look.autoscaler, dict(look.autoscaler.get("status") or {})
        target = autoscaler["spec"]["scaleTargetRef"]
        kind = REGISTRY.by_kind(target.get("apiVersion") or "v1", target["kind"])
        try:
            if kind is None or kind.subresource("scale") is None:
                raise NotFound(f'no matches for kind "{target["kind"]}" in group "{target.get("apiVersion", "")}"')
            name = Key(meta.namespace(autoscaler), target["name"])
            scale = await ctx.client.get(kind, name.name, name.namespace, subresource="scale")
        except ApiError as error:
            text = f"the HPA controller was unable to get the target's current scale: {error.message}"
            look.say("AbleToScale", "False", "FailedGetScale", text)
            ctx.event(autoscaler, "Warning", "FailedGetScale", error.message)
            return old
        text = "the HPA controller was able to get the target's current scale"
        look.say("AbleToScale", "True", "SucceededGetScale", text)
        current = (scale.get("spec") or {}).get("replicas") or 0
        try:
            desired, why, metrics = await self._desired(look, scale, current, ctx)
        except NoMetric as error:
            ctx.event(autoscaler, "Warning", error.reason, error.message)
            ctx.event(autoscaler, "Warning", "FailedComputeMetricsReplicas", error.message)
            return old | {"currentReplicas": current, "desiredReplicas": old.get("desiredReplicas") or 0}
        status = {name: old[name] for name in ("lastScaleTime",) if old.get(name)}
        status |= {"currentReplicas": current, "desiredReplicas": desired, "currentMetrics": metrics or None}
        if desired != current and await self._rescale(look, (kind, name), scale, (current, desired, why), ctx):
            status["lastScaleTime"] = meta.timestamp(look.now)
        return status

    async def _desired(self, look: _Round, scale: Object, current: int, ctx: Context) -> tuple[int, str, list[Object]]:
        """`(replicas, why, metrics)`. Raises NoMetric, with the condition set."""
        spec = look.autoscaler["spec"]
        low, high = spec.get("minReplicas") or 1, spec["maxReplicas"]
        if current == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            look.say("ScalingActive", "False", "ScalingDisabled", text)
            return 0, "", []
        if current > high:
            return high, "Current number of replicas above Spec.MaxReplicas", []
        if current < low:
            return low, "Current number of replicas below Spec.MinReplicas", []
        best, metrics = await _proposals(look, scale, current, ctx)
        memory = self.memories.setdefault(meta.uid(look.autoscaler), Memory())
        found = scaling.decide(spec, memory, current, best.replicas, look.now)
        for word, said in found.conditions.items():
            look.say(word, *said)
        why = f"{best.name} above target" if found.replicas > current else "All metrics below target"
        return found.replicas, why, metrics

    async def _rescale(
        self, look: _Round, where: tuple[Kind, Key], scale: Object, change: tuple[int, int, str], ctx: Context
    ) -> bool:
        current, desired, why = change
        kind, name = where
        path = kind.path(name.namespace, name.name, "scale")
        body = orjson.dumps(scale | {"spec": {"replicas": desired}})
        try:
            await ctx.client.send_json(Request("PUT", path, body=body))
        except Conflict:
            raise  # the target has just changed: look again soon
        except ApiError as error:
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            look.say("AbleToScale", "False", "FailedUpdateScale", text)
            words = f"New size: {desired}; reason: {why}; error: {error.message}"
            ctx.event(look.autoscaler, "Warning", "FailedRescale", words)
            return False
        text = f"the HPA controller was able to update the target scale to {desired}"
        look.say("AbleToScale", "True", "SucceededRescale", text)
        ctx.event(look.autoscaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        memory = self.memories.setdefault(meta.uid(look.autoscaler), Memory())
        memory.done.append((look.now, desired - current))
        return True


async def _proposals(look: _Round, scale: Object, current: int, ctx: Context) -> tuple[Proposal, list[Object]]:
    """The metric that asks for most, and the status of all. Some that fail only keep it from shrinking."""
    selector = (scale.get("status") or {}).get("selector") or ""
    if not selector:
        look.say("ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector")
        raise NoMetric("SelectorRequired", "selector is required")
    pods = ctx.cache(POD).list(meta.namespace(look.autoscaler), LabelSelector.parse(selector))
    found: list[Proposal] = []
    failures: list[NoMetric] = []
    metrics = look.autoscaler["spec"].get("metrics") or []
    for metric in metrics:
        try:
            found.append(await _proposal(metric, pods, selector, current, look, ctx))
        except NoMetric as error:
            failures.append(error)
    best = max(found, key=lambda item: item.replicas, default=None)
    if best is None or (failures and best.replicas < current):
        first = failures[0]
        text = f"the HPA was unable to compute the replica count: {first.message}"
        look.say("ScalingActive", "False", first.reason, text)
        words = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {first.message}"
        raise NoMetric(first.reason, words)
    text = f"the HPA was able to successfully calculate a replica count from {best.name}"
    look.say("ScalingActive", "True", "ValidMetricFound", text)
    return best, [item.status for item in found]


async def _proposal(
    metric: Object, pods: Sequence[Object], selector: str, current: int, look: _Round, ctx: Context
) -> Proposal:
    word = metric["type"]
    if word not in ("Resource", "ContainerResource"):
        api = "external" if word == "External" else "custom"
        text = f"unable to fetch metrics from {api} metrics API: no {api} metrics API registered"
        raise NoMetric(f"FailedGet{word}Metric", text)
    source = metric["resource" if word == "Resource" else "containerResource"]
    resource, container, target = source["name"], source.get("container") or "", source["target"]
    try:
        usage = await _usage(meta.namespace(look.autoscaler), selector, resource, container, ctx)
        groups = scaling.group(pods, usage, resource, look.now)
        if target.get("averageUtilization") is not None:
            requests = {meta.name(pod): _request(pod, resource, container) for pod in pods if not meta.is_deleted(pod)}
            wanted, now = scaling.of_utilization(groups, requests, target["averageUtilization"], current)
            name = f"{resource} {_noun(word)} utilization (percentage of request)"
        else:
            wanted, now = scaling.of_average(groups, Quantity.parse(target["averageValue"]).milli, current)
            name = f"{resource} {_noun(word)}"
    except NoMetric as error:
        goal = "utilization" if target.get("averageUtilization") is not None else "usage"
        text = f"failed to get {resource} {goal}: {error.message}"
        raise NoMetric(f"FailedGet{word}Metric", text) from error
    told = {"name": resource, "current": now} | ({"container": container} if container else {})
    return Proposal(wanted, name, {"type": word, word[0].lower() + word[1:]: told})


def _noun(word: str) -> str:
    return "resource" if word == "Resource" else "container resource"


def _request(pod: Object, resource: str, container: str) -> int:
    """What a pod (or one container of it) asks for, in thousandths. Raises NoMetric where a container does not."""
    total = 0
    for item in pod["spec"]["containers"]:
        if container and item["name"] != container:
            continue
        text = ((item.get("resources") or {}).get("requests") or {}).get(resource)
        if text is None:
            words = f"missing request for {resource} in container {item['name']} of Pod {meta.name(pod)}"
            raise NoMetric("", words)
        total += Quantity.parse(text).milli
    return total


async def _usage(namespace: str, selector: str, resource: str, container: str, ctx: Context) -> Mapping[str, Usage]:
    """What pods use now, by name, as metrics.k8s.io tells."""
    path = f"{METRICS}/namespaces/{namespace}/pods"
    prefix = f"unable to get metrics for resource {resource}: "
    try:
        answer = await ctx.client.send_json(Request("GET", path, {"labelSelector": selector}))
    except ApiError as error:
        why = "the server could not find the requested resource (get pods.metrics.k8s.io)"
        why = why if isinstance(error, NotFound) else error.message
        raise NoMetric("", f"{prefix}unable to fetch metrics from resource metrics API: {why}") from error
    found = {}
    for item in answer.get("items") or ():
        used = [
            Quantity.parse(one["usage"][resource]).milli
            for one in item.get("containers") or ()
            if resource in (one.get("usage") or {}) and container in ("", one["name"])
        ]
        if used:
            found[meta.name(item)] = Usage(sum(used), meta.parse_timestamp(item["timestamp"]), _seconds(item["window"]))
    if not found:
        raise NoMetric("", f"{prefix}no metrics returned from resource metrics API")
    return found


def _seconds(window: str) -> float:
    """A duration such as `15s` or `1m30s`."""
    total, number = 0.0, ""
    for letter in window:
        if letter in _UNITS:
            total, number = total + float(number or 0) * _UNITS[letter], ""
        else:
            number += letter
    return total


def controller() -> On:
    """The controller."""
    on = On("horizontalpodautoscaler", component="horizontal-pod-autoscaler")
    on.reconcile(HORIZONTAL_POD_AUTOSCALER)(Autoscalers().reconcile)
    return on
