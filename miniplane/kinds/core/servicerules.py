"""The rules of a Service's spec, in upstream's order.

Counterpart upstream: ValidateService and ValidateServiceUpdate in pkg/apis/core/validation.
"""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_dns_label, is_dns_subdomain, is_qualified_name, validate_labels
from miniplane.api.validation import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from miniplane.kinds.addresses import FAMILIES, parse_address, reachable, valid_address, valid_block
from miniplane.kinds.fields import (
    PROTOCOLS,
    elements,
    entries,
    is_set,
    named,
    number,
    one_of,
    optional,
    port_number,
    port_or_name,
    section,
    shown,
    string_map,
    strings,
    text,
)

AFFINITY_TIMEOUT_S = 10800
_AFFINITY_LIMIT_S = 86400
_KUBELET_PORT = 10250
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_WITH_ADDRESS = frozenset(("ClusterIP", "NodePort", "LoadBalancer"))
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_PAIR = 2
_PATH = Path("spec")


def is_headless(spec: Object) -> bool:
    """Whether a Service has no address of its own by wish."""
    return text(spec, "clusterIP") == "None" or strings(spec, "clusterIPs")[:1] == ["None"]


def needs_address(spec: Object) -> bool:
    """Whether the type comes with an address inside the cluster."""
    return text(spec, "type") in _WITH_ADDRESS


def needs_node_ports(spec: Object) -> bool:
    """Whether each port has a port on every node."""
    kind = text(spec, "type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def needs_external_policy(spec: Object) -> bool:
    """Whether traffic from outside reaches the Service."""
    kind = text(spec, "type")
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(elements(spec, "externalIPs")))


def needs_health_port(spec: Object) -> bool:
    """Whether a load balancer must ask each node if it has endpoints."""
    return text(spec, "type") == "LoadBalancer" and text(spec, "externalTrafficPolicy") == "Local"


def service_errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    """Every error of a Service's spec; `old` is the stored spec on update."""
    if old is not None and {"ExternalName"}.isdisjoint((text(spec, "type"), text(old, "type"))):
        yield from _kept_addresses(spec, old)
    if not elements(spec, "ports") and not is_headless(spec) and text(spec, "type") != "ExternalName":
        yield required(_PATH / "ports")
    yield from _by_type(spec)
    yield from _ports(spec)
    yield from validate_labels(string_map(spec, "selector"), _PATH / "selector")
    yield from _affinity(spec)
    yield from _addresses(spec)
    for index, ip in enumerate(strings(spec, "externalIPs")):
        path = _PATH / "externalIPs" @ index
        yield from list(valid_address(path, ip)) or reachable(path, ip)
    yield from one_of(_PATH / "type", text(spec, "type"), _TYPES)
    yield from _unique_ports(spec)
    yield from _load_balancer(spec, old)
    yield from _traffic(spec)


def _kept_addresses(spec: Object, old: Object) -> Iterator[FieldError]:
    """The first address and family stay; a second may come and go."""
    for key, noun in (("clusterIPs", "clusterIP"), ("ipFamilies", "ipFamily")):
        new, before = strings(spec, key), strings(old, key)
        if not before:
            continue
        path = _PATH / key @ 0
        if not new:
            yield invalid(path, shown(new), f"primary {noun} can not be unset")
        elif new[0] != before[0]:
            yield invalid(path, shown(new), "may not change once set")


def _by_type(spec: Object) -> Iterator[FieldError]:
    kind = text(spec, "type")
    if kind == "LoadBalancer":
        for index, port in enumerate(entries(spec, "ports")):
            if number(port, "port") == _KUBELET_PORT:
                words = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
                yield invalid(_PATH / "ports" @ index, _KUBELET_PORT, words)
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        yield invalid(_PATH / "clusterIPs" @ 0, "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(spec)


def _external_name(spec: Object) -> Iterator[FieldError]:
    words = "may not be set for ExternalName services"
    if elements(spec, "clusterIPs") or text(spec, "clusterIP"):
        yield forbidden(_PATH / "clusterIPs", words)
    if elements(spec, "ipFamilies"):
        yield forbidden(_PATH / "ipFamilies", words)
    if is_set(spec, "ipFamilyPolicy"):
        yield forbidden(_PATH / "ipFamilyPolicy", words)
    if name := text(spec, "externalName").removesuffix("."):
        yield from named(_PATH / "externalName", name, is_dns_subdomain)
    else:
        yield required(_PATH / "externalName")


def _ports(spec: Object) -> Iterator[FieldError]:
    ports = entries(spec, "ports")
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = _PATH / "ports" @ index, text(port, "name")
        if name:
            yield from named(path / "name", name, is_dns_label)
            if name in names:
                yield duplicate(path / "name", name)
            names.add(name)
        elif len(ports) > 1:
            yield required(path / "name")
        yield from port_number(path / "port", number(port, "port"))
        yield from one_of(path / "protocol", text(port, "protocol"), PROTOCOLS)
        yield from port_or_name(path / "targetPort", port.get("targetPort"))
        if is_set(port, "appProtocol"):
            yield from named(path / "appProtocol", text(port, "appProtocol"), is_qualified_name)


def _affinity(spec: Object) -> Iterator[FieldError]:
    kind, path = text(spec, "sessionAffinity"), _PATH / "sessionAffinityConfig"
    yield from one_of(_PATH / "sessionAffinity", kind, ("ClientIP", "None"))
    if kind == "None" and is_set(spec, "sessionAffinityConfig"):
        yield forbidden(path, "must not be set when session affinity is None")
    if kind != "ClientIP":
        return
    words = "when session affinity type is ClientIP"
    client = section(section(spec, "sessionAffinityConfig"), "clientIP")
    if not is_set(spec, "sessionAffinityConfig"):
        yield required(path, words)
    elif not is_set(section(spec, "sessionAffinityConfig"), "clientIP"):
        yield required(path / "clientIP", words)
    elif (timeout := optional(client, "timeoutSeconds")) is None:
        yield required(path / "clientIP" / "timeoutSeconds", words)
    elif not 0 < timeout <= _AFFINITY_LIMIT_S:
        words = f"must be greater than 0 and less than {_AFFINITY_LIMIT_S}"
        yield invalid(path / "clientIP" / "timeoutSeconds", timeout, words)


def _addresses(spec: Object) -> Iterator[FieldError]:
    """`clusterIP`, `clusterIPs` and the families agree."""
    if text(spec, "type") == "ExternalName":
        return
    path, first, addresses = _PATH / "clusterIPs", text(spec, "clusterIP"), strings(spec, "clusterIPs")
    if addresses and not first:
        yield invalid(path, shown(addresses), "must be empty when `clusterIP` is not specified")
    elif addresses and addresses[0] != first:
        yield invalid(path, shown(addresses), "first value must match `clusterIP`")
    yield from _families(spec)
    yield from one_of(_PATH / "ipFamilyPolicy", text(spec, "ipFamilyPolicy"), _FAMILY_POLICIES, needed=False)
    wrong = list(_address_forms(path, addresses))
    yield from wrong
    if len(addresses) > _PAIR:
        yield invalid(path, shown(addresses), "may only hold up to 2 values")
    if not wrong and not is_headless(spec):
        yield from _address_families(path, addresses, strings(spec, "ipFamilies"))


def _families(spec: Object) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, family in enumerate(strings(spec, "ipFamilies")):
        path = _PATH / "ipFamilies" @ index
        if family not in FAMILIES.values():
            yield not_supported(path, family, FAMILIES.values())
        if family in seen:
            yield duplicate(path, family)
        seen.add(family)


def _address_forms(path: Path, addresses: list[str]) -> Iterator[FieldError]:
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                yield invalid(path, shown(addresses), "'None' must be the first and only value")
        else:
            yield from valid_address(path @ index, address)


def _address_families(path: Path, addresses: list[str], families: list[str]) -> Iterator[FieldError]:
    found = [FAMILIES[address.version] for text in addresses if (address := parse_address(text))]
    if len(found) == _PAIR and len(set(found)) == 1:
        yield invalid(path, shown(addresses), "may specify no more than one IP for each IP family")
    for index, (own, wanted) in enumerate(zip(found, families, strict=False)):
        if wanted in FAMILIES.values() and own != wanted:
            words = f"expected an {wanted} value as indicated by `ipFamilies[{index}]`"
            yield invalid(path @ index, addresses[index], words)


def _unique_ports(spec: Object) -> Iterator[FieldError]:
    ports = entries(spec, "ports")
    kind = text(spec, "type")
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path, value = _PATH / "ports" @ index / "nodePort", number(port, "nodePort")
        if value and kind == "ClusterIP":
            yield forbidden(path, "may not be used when `type` is 'ClusterIP'")
        key = (text(port, "protocol"), value)
        if value and key in node_ports:
            yield duplicate(path, value)
        node_ports.add(key)
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        protocol, value = key = (text(port, "protocol"), number(port, "port"))
        if key in seen:
            whole = {"Name": "", "Protocol": protocol, "AppProtocol": None, "Port": value}
            yield duplicate(_PATH / "ports" @ index, shown({**whole, "TargetPort": 0, "NodePort": 0}))
        seen.add(key)


def _load_balancer(spec: Object, old: Object | None) -> Iterator[FieldError]:
    only = "may only be used when `type` is 'LoadBalancer'"
    is_balanced = text(spec, "type") == "LoadBalancer"
    ranges = _PATH / "loadBalancerSourceRanges"
    if elements(spec, "loadBalancerSourceRanges") and not is_balanced:
        yield forbidden(ranges, only)
    for index, block in enumerate(strings(spec, "loadBalancerSourceRanges")):
        yield from valid_block(ranges @ index, block.strip())
    allocate, cls = "allocateLoadBalancerNodePorts", "loadBalancerClass"
    if not is_balanced:
        for key in (allocate, cls):
            if is_set(spec, key):
                yield forbidden(_PATH / key, only)
        return
    if not is_set(spec, allocate):
        yield required(_PATH / allocate)
    if old is not None and text(old, "type") == "LoadBalancer" and text(old, cls) != text(spec, cls):
        yield invalid(_PATH / cls, spec.get(cls), "may not change once set")
    if is_set(spec, cls):
        yield from named(_PATH / cls, text(spec, cls), is_qualified_name)


def _traffic(spec: Object) -> Iterator[FieldError]:
    external, path = text(spec, "externalTrafficPolicy"), _PATH / "externalTrafficPolicy"
    if needs_external_policy(spec):
        yield from one_of(path, external, _POLICIES)
    elif external:
        yield invalid(path, external, "may only be set for externally-accessible services")
    health, path = number(spec, "healthCheckNodePort"), _PATH / "healthCheckNodePort"
    if health and not needs_health_port(spec):
        words = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid(path, health, words)
    elif health:
        yield from port_number(path, health)
    internal = text(spec, "internalTrafficPolicy")
    yield from one_of(_PATH / "internalTrafficPolicy", internal, _POLICIES, needed=needs_address(spec))
    distribution = text(spec, "trafficDistribution")
    yield from one_of(_PATH / "trafficDistribution", distribution, _DISTRIBUTIONS, needed=False)
