"""A name on its way to an address: the search list, the resolver's answers, and whether the pod may ask at all."""

from dataclasses import dataclass, replace

from miniplane.api import meta
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_resolv import ResolvConf, resolv_conf
from miniplane.dataplane.dns_zone import Code, Record, Reply, Zone
from miniplane.dataplane.explain import TraceHop, trace
from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.words import Words

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Lookup:
    """What became of a name. Without addresses the last hop says why."""

    hops: tuple[TraceHop, ...]
    addresses: tuple[str, ...] = ()
    service: meta.Key | None = None
    """The Service whose ClusterIP the first address is."""
    is_foreign: bool = False
    """Whether a resolver outside of the cluster would have to answer."""
    is_hidden: bool = False
    """Whether the cluster's DNS knows the name, and only the way to it is closed."""


class Names:
    """The names of one cluster, as its pods look them up."""

    def __init__(self, cluster: Cluster, words: Words, network: Network) -> None:
        self._cluster = cluster
        self._words = words
        self._network = network
        self._directory = Directory()
        for kind, change in (
            ("Service", self._directory.change_service),
            ("EndpointSlice", self._directory.change_slice),
            ("Namespace", self._directory.change_namespace),
            ("Pod", self._directory.change_pod),
        ):
            for obj in words.of(kind).values():
                change(None, obj)
        networks = (*network.service_cidrs, *network.pod_cidrs)
        self._zone = Zone(self._directory, domain=network.cluster_domain, dns_ip=network.dns_ip, networks=networks)

    def lookup(self, source: str, name: str) -> Lookup:
        """What a name is for the source, a party as the explainer knows it."""
        kind, _, rest = source.partition("/")
        pod = self._words.get("Pod", *rest.split("/", 1)) if kind == "pod" else None
        if pod is None:
            text = f"{source} does not ask the cluster's DNS, so {name} means nothing there; name an address"
            return Lookup((_hop("", "", "", "unresolved", text),))
        conf = resolv_conf(pod, self._network)
        label, node = f"Pod {meta.key_of(pod)}", str(pod["spec"].get("nodeName") or "")
        if not conf.nameservers:
            text = f"the pod asks its node's resolver, which does not know the cluster's names such as {name}"
            return Lookup((_hop(node, label, "spec.dnsPolicy", "unresolved", text),))
        asking, refused = self._ask(source, conf, node, label, name)
        if refused:
            answers = [self._zone.resolve(candidate, "A") for candidate in conf.candidates(name)]
            return Lookup(asking, is_hidden=any(reply.answer for reply in answers))
        return self._resolve(asking, conf, name)

    def _ask(
        self, source: str, conf: ResolvConf, node: str, label: str, name: str
    ) -> tuple[tuple[TraceHop, ...], bool]:
        """The question's own way to the nameserver, told only if it does not get there."""
        server = conf.nameservers[0]
        found = trace(self._cluster, source, server, DNS_PORT, Protocol.UDP)
        who = self._directory.service_at(server)
        known = f", Service {who.key}" if who else ""
        searched = f"ndots:{conf.ndots}, so {_first(conf, name)}" if not name.endswith(".") else "absolute"
        text = f"looks up {name} at {server}{known} ({searched})"
        first = _hop(node, label, "spec.dnsPolicy", "", text)
        if found.verdict == "delivered":
            return (first,), False
        reasons = [hop for hop in found.hops if hop.verdict in ("drop", "reject", "no match", "unresolved")]
        told = [_hop(hop.node, hop.object, hop.field, hop.verdict, hop.text) for hop in reasons or found.hops[-1:]]
        told[-1] = replace(told[-1], text=f"the question is {found.verdict}: {told[-1].text}")
        return (first, *told), True

    def _resolve(self, asking: tuple[TraceHop, ...], conf: ResolvConf, name: str) -> Lookup:
        hops = list(asking)
        for candidate in conf.candidates(name):
            reply = self._zone.resolve(candidate, "A")
            records = [record for record in reply.answer if record.type == "A"]
            if not records:
                reply6 = self._zone.resolve(candidate, "AAAA")
                records = [record for record in reply6.answer if record.type == "AAAA"]
            hops.append(self._told(asking[0], candidate, reply, records))
            foreign = reply.code is Code.REFUSED or _leaves(reply, self._zone)
            if records or foreign:
                addresses = tuple(record.data for record in records)
                who = self._directory.service_at(addresses[0]) if addresses else None
                return Lookup(tuple(hops), addresses, who.key if who else None, foreign and not records)
        return Lookup(tuple(hops))

    def _told(self, asking: TraceHop, candidate: str, reply: Reply, records: list[Record]) -> TraceHop:
        """What became of one name of the search list, which is the asking pod's own."""
        node = asking.node
        shown, field = self._owner(candidate)
        name = candidate.rstrip(".")
        chain = "".join(f" is {record.data.rstrip('.')}, which" for record in reply.answer if record.type == "CNAME")
        if records:
            addresses = ", ".join(record.data for record in records)
            return _hop(node, shown, field, "accept", f"{name}{chain} has the address {addresses}")
        if reply.code is Code.REFUSED:
            text = f"{name} is no name of the cluster: its DNS asks its node's resolver, whose answer is not known here"
            meant = self._elsewhere(name)
            if not meant:
                return _hop(node, asking.object, asking.field, "unresolved", text)
            text += f". There is Service {meant}: from other namespaces it is {meant.name}.{meant.namespace}"
            return _hop(node, f"Service {meant}", "metadata.namespace", "unresolved", text)
        if reply.code is Code.NXDOMAIN:
            return _hop(node, asking.object, asking.field, "no match", f"{name}: no such name{self._why(candidate)}")
        if chain:
            text = f"{name}{chain.removesuffix(', which')}, outside of the cluster: its address is not known here"
            return _hop(node, shown, field, "unresolved", text)
        return _hop(node, shown, field, "no match", f"{name} exists, but has no address")

    def _elsewhere(self, name: str) -> meta.Key | None:
        """A Service that a short name may mean, if it is in another namespace."""
        return next((key for key in sorted(self._words.of("Service")) if key.name == name), None)

    def _labels(self, candidate: str) -> list[str]:
        inside = candidate.lower().rstrip(".").removesuffix(self._zone.domain).rstrip(".")
        return inside.split(".")

    def _owner(self, candidate: str) -> tuple[str, str]:
        """The object and field that a name's records come from."""
        *_, name, namespace, kind = ["", "", *self._labels(candidate)]
        service = self._words.get("Service", namespace, name) if kind == "svc" else None
        if service is None:
            return "", ""
        spec = service.get("spec") or {}
        is_alias, is_headless = spec.get("type") == "ExternalName", spec.get("clusterIP") == "None"
        field = "spec.externalName" if is_alias else "spec.selector" if is_headless else "spec.clusterIP"
        return f"Service {namespace}/{name}", field

    def _why(self, candidate: str) -> str:
        """A headless Service without endpoints has no name; anything else is simply not there."""
        shown, field = self._owner(candidate)
        return f": {shown} is headless and has no ready endpoint" if field == "spec.selector" else ""


def _leaves(reply: Reply, zone: Zone) -> bool:
    """Whether the answer is a name that another resolver must know."""
    last = reply.answer[-1] if reply.answer else None
    return last is not None and last.type == "CNAME" and not zone.is_ours(last.data)


def _first(conf: ResolvConf, name: str) -> str:
    return f"first as {conf.candidates(name)[0].rstrip('.')}"


def _hop(node: str, label: str, field: str, verdict: str, text: str) -> TraceHop:
    return TraceHop("dns", node, label, field, verdict, text, "")
