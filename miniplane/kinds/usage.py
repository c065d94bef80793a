"""What an object takes of a ResourceQuota, and which quotas it falls under: pure, for admission and for the controller.

Upstream: pkg/quota/v1/evaluator/core.
"""

from collections.abc import Callable, Mapping

from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity
from miniplane.kinds.fields import entries, is_set, section, strings, text
from miniplane.kinds.podspec.demand import Amounts, add, amounts, asked
from miniplane.kinds.podspec.resources import qos_class

ONE = Quantity.of(1)
COUNTED = ("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps")
"""Core resources that a quota may name without `count/`; claims too, with more."""
_CLASS = ".storageclass.storage.k8s.io/"
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def plain(resource: str) -> str:
    """`pods` or `deployments.apps` of the resource as stores and paths name it, `/pods` or `apps/deployments`."""
    group, _, plural = resource.rpartition("/")
    return f"{plural}.{group}" if group else plural


def usage(resource: str, obj: Object) -> Amounts:
    """What an object of `pods` or `deployments.apps` counts as."""
    used: Amounts = {f"count/{resource}": ONE}
    if resource in COUNTED:
        used[resource] = ONE
    if special := _SPECIAL.get(resource):
        return special(obj, used)
    return used


def _pod(pod: Object, used: Amounts) -> Amounts:
    if text(section(pod, "status"), "phase") in ("Succeeded", "Failed"):
        return {"count/pods": ONE}
    spec = section(pod, "spec")
    requests, limits = asked(spec, "requests"), asked(spec, "limits")
    for name, amount in requests.items():
        used[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
    for name, amount in limits.items():
        used[f"limits.{name}"] = amount
    return used


def _service(service: Object, used: Amounts) -> Amounts:
    spec = section(service, "spec")
    kind, ports = text(spec, "type"), len(entries(spec, "ports"))
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = sum(is_set(port, "nodePort") for port in entries(spec, "ports"))
    if kind in ("NodePort", "LoadBalancer") and ports:
        used["services.nodeports"] = Quantity.of(ports)
    return used


def _claim(claim: Object, used: Amounts) -> Amounts:
    spec = section(claim, "spec")
    used["persistentvolumeclaims"] = ONE
    of_class = text(spec, "storageClassName")
    if of_class:
        used[f"{of_class}{_CLASS}persistentvolumeclaims"] = ONE
    storage = amounts(section(section(spec, "resources"), "requests")).get("storage")
    if storage is not None:
        used["requests.storage"] = storage
        if of_class:
            used[f"{of_class}{_CLASS}requests.storage"] = storage
    return used


_SPECIAL: Mapping[str, Callable[[Object, Amounts], Amounts]] = {
    "pods": _pod,
    "services": _service,
    "persistentvolumeclaims": _claim,
}


def under(quota: Object, resource: str, obj: Object) -> bool:
    """Whether a quota's scopes take an object; those with scopes are about pods only."""
    spec = section(quota, "spec")
    scopes = [{"scopeName": scope, "operator": "Exists"} for scope in strings(spec, "scopes")]
    scopes += entries(section(spec, "scopeSelector"), "matchExpressions")
    return not scopes or (resource == "pods" and all(_in_scope(scope, obj) for scope in scopes))


def _in_scope(scope: Object, pod: Object) -> bool:
    spec = section(pod, "spec")
    ends = is_set(spec, "activeDeadlineSeconds")
    best_effort = qos_class(spec) == "BestEffort"
    match text(scope, "scopeName"):
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "PriorityClass":
            return _matches(scope, text(spec, "priorityClassName"))
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(spec)
        case _:
            return False


def _matches(scope: Object, value: str) -> bool:
    values = strings(scope, "values")
    match text(scope, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "DoesNotExist":
            return not value
        case _:
            return bool(value)


def _looks_elsewhere(spec: Object) -> bool:
    affinity = section(spec, "affinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = entries(section(affinity, kind), "requiredDuringSchedulingIgnoredDuringExecution")
        preferred = entries(section(affinity, kind), "preferredDuringSchedulingIgnoredDuringExecution")
        for term in (*terms, *(section(item, "podAffinityTerm") for item in preferred)):
            if strings(term, "namespaces") or is_set(term, "namespaceSelector"):
                return True
    return False


def hard(quota: Object) -> Amounts:
    """The limits of a quota."""
    return amounts(section(section(quota, "spec"), "hard"))


def total(quota: Object, objects: Mapping[str, list[Object]]) -> Amounts:
    """What the objects of a namespace, by `pods` or `deployments.apps`, take of what a quota limits."""
    limits = hard(quota)
    used: Amounts = {name: Quantity(0, amount.format) for name, amount in limits.items()}
    for resource, found in objects.items():
        for obj in found:
            if under(quota, resource, obj):
                mine = usage(resource, obj)
                add(used, {name: mine[name] for name in limits if name in mine})
    return used


def lacking(quota: Object, pod: Object) -> Mapping[str, list[str]]:
    """What a pod must say and does not: a quota on compute resources needs each container to name its amounts.

    `{resource: containers}`. Upstream's order of names.
    """
    wanted = [name for name in hard(quota) if name.partition(".")[0] in ("requests", "limits", "cpu", "memory")]
    found: dict[str, list[str]] = {}
    spec = section(pod, "spec")
    for container in (*entries(spec, "containers"), *entries(spec, "initContainers")):
        resources = section(container, "resources")
        for name in wanted:
            side, _, resource = name.rpartition(".")
            if resource in ("cpu", "memory") and resource not in section(resources, side or "requests"):
                found.setdefault(name, []).append(text(container, "name"))
    return found
