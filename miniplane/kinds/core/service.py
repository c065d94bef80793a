"""Service: one stable address in front of changing pods.

Addresses and node ports are allocated by the registry in the commit that stores the Service; here stands what a client
may ask for, what stays when it does not say, and what goes with a change of type. Upstream: core/v1; concept page
"Service".
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy, proxy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError
from miniplane.kinds.core.servicerules import (
    AFFINITY_TIMEOUT_S,
    is_headless,
    needs_address,
    needs_external_policy,
    needs_health_port,
    needs_node_ports,
    service_errors,
)
from miniplane.kinds.fields import (
    elements,
    entries,
    fill,
    is_set,
    number,
    open_section,
    optional,
    section,
    string_map,
    strings,
    text,
)
from miniplane.kinds.shared import NONE, load_balancer_addresses, load_balancer_errors

_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def defaults(service: Object) -> None:
    """An address inside the cluster, TCP, target port = port, no affinity, traffic from and to everywhere."""
    spec = open_section(service, "spec")
    fill(spec, sessionAffinity="None", type="ClusterIP")
    _default_affinity(spec)
    for port in entries(spec, "ports"):
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, "", 0) and is_set(port, "port"):
            port["targetPort"] = port["port"]
    if needs_external_policy(spec):
        fill(spec, externalTrafficPolicy="Cluster")
    if needs_address(spec):
        fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
        for ingress in entries(section(section(service, "status"), "loadBalancer"), "ingress"):
            if text(ingress, "ip"):
                fill(ingress, ipMode="VIP")


def _default_affinity(spec: Object) -> None:
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = section(section(spec, "sessionAffinityConfig"), "clientIP")
        if optional(client, "timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_TIMEOUT_S}}


def prepare(service: Object, old: Object | None) -> None:
    """Keeps what was allocated, and drops what the new type has no use for unless the client has just changed it."""
    new, before = open_section(service, "spec"), section(old, "spec") if old else None
    if before is not None:
        _keep_allocated(new, before)
        _sync_addresses(new, before)
        _drop_unused(new, before)
    elif text(new, "clusterIP") and not elements(new, "clusterIPs"):
        new["clusterIPs"] = [new["clusterIP"]]
    if is_headless(new):
        fill(new, ipFamilyPolicy="SingleStack")
        if not elements(new, "ipFamilies"):
            new["ipFamilies"] = ["IPv4"]


def _keep_allocated(new: Object, old: Object) -> None:
    if needs_address(old) and needs_address(new):
        fill(new, clusterIP=text(old, "clusterIP"))
        if not elements(new, "clusterIPs") and text(new, "clusterIP") == text(old, "clusterIP"):
            new["clusterIPs"] = list(strings(old, "clusterIPs"))
        fill(new, ipFamilyPolicy=old.get("ipFamilyPolicy"))
        if not elements(new, "ipFamilies"):
            new["ipFamilies"] = list(strings(old, "ipFamilies"))
    if needs_node_ports(old) and needs_node_ports(new):
        _keep_node_ports(entries(new, "ports"), entries(old, "ports"))
    health = number(old, "healthCheckNodePort")
    if health and needs_health_port(old) and needs_health_port(new) and not number(new, "healthCheckNodePort"):
        new["healthCheckNodePort"] = health
    for key in _ADDRESSES:
        if not new.get(key):
            new.pop(key, None)


def _keep_node_ports(new: list[Object], old: list[Object]) -> None:
    """A port without a number takes that of the old port of its name, unless another has taken it."""
    before = {text(port, "name"): number(port, "nodePort") for port in old}
    used = {number(port, "nodePort") for port in new}
    for port in new:
        if not number(port, "nodePort"):
            kept = before.get(text(port, "name"), 0)
            if kept and kept not in used:
                port["nodePort"] = kept
                used.add(kept)


def _sync_addresses(new: Object, old: Object) -> None:
    """Whoever changes only `clusterIP` means the first of `clusterIPs`."""
    if text(new, "clusterIP") == text(old, "clusterIP") or elements(new, "clusterIPs") != elements(old, "clusterIPs"):
        return
    if address := text(new, "clusterIP"):
        new["clusterIPs"] = [address]
    else:
        new.pop("clusterIPs", None)


def _drop_unused(new: Object, old: Object) -> None:
    """Whatever only the old type had a use for goes, unless the client has just changed it."""
    same_address = all(new.get(key) == old.get(key) for key in ("clusterIP", "clusterIPs"))
    if needs_address(old) and not needs_address(new) and same_address:
        _drop(new, old, *_ADDRESSES)
    if needs_node_ports(old) and not needs_node_ports(new) and _node_ports(new) == _node_ports(old):
        for port in entries(new, "ports"):
            port.pop("nodePort", None)
    if needs_health_port(old) and not needs_health_port(new):
        _drop(new, old, "healthCheckNodePort")
    if needs_external_policy(old) and not needs_external_policy(new):
        _drop(new, old, "externalTrafficPolicy")
    if text(old, "type") == "LoadBalancer" != text(new, "type"):
        _drop(new, old, "allocateLoadBalancerNodePorts", "loadBalancerClass")


def _drop(new: Object, old: Object, *keys: str) -> None:
    for key in keys:
        if new.get(key) == old.get(key):
            new.pop(key, None)


def _node_ports(spec: Object) -> list[int]:
    return [number(port, "nodePort") for port in entries(spec, "ports")]


def validate(service: Object, old: Object | None) -> Sequence[FieldError]:
    """Every error of a Service, in upstream's order."""
    return list(service_errors(section(service, "spec"), section(old, "spec") if old else None))


def validate_status(service: Object, old: Object | None) -> Sequence[FieldError]:
    """The addresses of the load balancer are such, and are only there with a load balancer."""
    return list(load_balancer_errors(service, old))


def warnings(service: Object, _old: Object | None) -> Sequence[str]:
    """Fields that a headless Service has no use for."""
    spec = section(service, "spec")
    if not is_headless(spec):
        return ()
    ignored = [f"spec.{key}" for key in ("loadBalancerIP", "externalIPs") if spec.get(key)]
    if text(spec, "sessionAffinity") == "ClientIP":
        ignored.append("spec.SessionAffinity")
    return [f"{field} is ignored for headless services" for field in ignored]


def _address(service: Object, _now: datetime) -> str:
    spec = section(service, "spec")
    return next(iter(strings(spec, "clusterIPs")), text(spec, "clusterIP")) or NONE


def _external(service: Object, _now: datetime) -> str:
    spec = section(service, "spec")
    kind, given = text(spec, "type"), strings(spec, "externalIPs")
    if kind == "ExternalName":
        return text(spec, "externalName")
    if kind == "LoadBalancer":
        return ",".join([*load_balancer_addresses(service), *given]) or "<pending>"
    return ",".join(given) or NONE if kind in ("ClusterIP", "NodePort") else "<unknown>"


def _ports(service: Object, _now: datetime) -> str:
    return ",".join(_port(port) for port in entries(section(service, "spec"), "ports")) or NONE


def _port(port: Object) -> str:
    node_port = number(port, "nodePort")
    shown = f"{number(port, 'port')}:{node_port}" if node_port else str(number(port, "port"))
    return f"{shown}/{text(port, 'protocol')}"


def _selector(service: Object, _now: datetime) -> str:
    labels = string_map(section(service, "spec"), "selector")
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


SERVICE = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    scope=Scope.NAMESPACED,
    short_names=("svc",),
    categories=("all",),
    fields={"spec.clusterIP": "spec.clusterIP", "spec.type": "spec.type"},
    definition="io.k8s.api.core.v1.Service",
    columns=(
        NAME,
        Column("Type", ".spec.type", description="How far it reaches."),
        Column("Cluster-IP", _address, description="Its address inside the cluster."),
        Column("External-IP", _external, description="Its address outside the cluster."),
        Column("Port(s)", _ports, description="Its ports, each with its node port."),
        AGE,
        Column("Selector", _selector, priority=1, description="The labels of its pods."),
    ),
    subresources=(
        STATUS,
        proxy("ServiceProxyOptions"),
    ),
    defaults=defaults,
    strategy=Strategy(
        returns_deleted=True,
        prepare=prepare,
        validate=validate,
        validate_status=validate_status,
        warnings=warnings,
        initial_status={"loadBalancer": {}},
        name_is="label_1035",
    ),
)
