"""What the names of the cluster mean: the DNS specification of Kubernetes, version 1.1.0, as a pure function.

    <service>.<ns>.svc.<zone>                 A AAAA  ClusterIPs; headless: every ready endpoint; ExternalName: CNAME
    <hostname>.<service>.<ns>.svc.<zone>      A AAAA  one endpoint of a headless Service
    _<port>._<protocol>.<service>.<ns>.svc.…  SRV     named ports
    <a-b-c-d>.<ns>.pod.<zone>                 A AAAA  a pod's address, by itself
    <d.c.b.a>.in-addr.arpa, ….ip6.arpa        PTR     ClusterIPs, endpoints of headless Services
    dns-version.<zone>                        TXT     1.1.0

A name that exists without records of the type asked for is answered with nothing (NODATA), one that does not with
NXDOMAIN, both with the zone's SOA. Names do not depend on case; the answer repeats the question's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from miniplane.api.meta import Key
from miniplane.dataplane.dns_directory import Directory, Endpoint, ServiceNames

TTL_S = 5
"""CoreDNS' default: short, since a ClusterIP may be another's soon."""
VERSION = "1.1.0"
MAX_CHASE = 8
"""CNAMEs followed inside the zone."""
PodNames = Literal["disabled", "insecure", "verified"]
"""Whether pod names exist: never; in every existing namespace; only for a pod that is there."""
POD_NAMES: tuple[PodNames, ...] = ("disabled", "insecure", "verified")
_V4_LABELS, _V6_LABELS = 4, 32


class Code(StrEnum):
    """The response codes that we give; the words are those of the wire format's registry."""

    NOERROR = "NOERROR"
    NXDOMAIN = "NXDOMAIN"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `data` in presentation form, names in it absolute."""

    name: str
    type: str
    data: str
    ttl: int = TTL_S


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Without records `authority` holds the SOA (unless refused)."""

    code: Code
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


class Zone:
    """The cluster's zone and the reverse zones of its networks, over a directory."""

    def __init__(
        self,
        directory: Directory,
        *,
        domain: str,
        dns_ip: str,
        networks: Sequence[str] = (),
        pod_names: PodNames = "insecure",
    ) -> None:
        self._directory = directory
        self.domain = domain.strip(".").lower()
        self._labels = self.domain.split(".")
        self._dns_ip = dns_ip
        self._networks = [ip_network(text) for text in networks if text]
        self._pod_names = pod_names

    def resolve(self, name: str, kind: str) -> Reply:
        """The answer to a question: `name` absolute in any case, with or without the last dot; `kind` as "A", "SRV"."""
        asked = name.rstrip(".") + "."
        if not self.is_ours(asked):
            return Reply(Code.REFUSED)
        labels = asked.lower().rstrip(".").split(".")
        inside = labels[-len(self._labels) :] == self._labels
        soa = self._soa() if inside else self._soa(".".join(labels[-2:]) + ".")
        found = self._inside(asked, labels[: -len(self._labels)]) if inside else self._reverse(asked, labels)
        if found is None:
            return Reply(Code.NXDOMAIN, authority=soa)
        answer = self._select(found, kind, asked)
        if not answer:
            return Reply(Code.NOERROR, authority=soa)
        return Reply(Code.NOERROR, tuple(answer), additional=tuple(self._glue(answer)))

    def _select(self, found: Sequence[Record], kind: str, asked: str) -> list[Record]:
        """The records of the type asked for; a CNAME answers every type and is followed inside the zone."""
        answer = [record for record in found if kind in (record.type, "ANY")]
        if not answer and found and found[0].type == "CNAME":
            answer = [found[0]]
            answer += self._chase(found[0].data, kind, {asked.lower()})
        return answer

    def _chase(self, target: str, kind: str, seen: set[str]) -> list[Record]:
        chain: list[Record] = []
        while target.lower() not in seen and len(seen) <= MAX_CHASE:
            seen.add(target.lower())
            labels = target.lower().rstrip(".").split(".")
            if labels[-len(self._labels) :] != self._labels:
                break
            found = self._inside(target, labels[: -len(self._labels)]) or ()
            chain += [record for record in found if record.type in (kind, "CNAME")]
            if not found or found[0].type != "CNAME":
                break
            target = found[0].data
        return chain

    def _glue(self, answer: Sequence[Record]) -> list[Record]:
        targets = dict.fromkeys(record.data.rpartition(" ")[2] for record in answer if record.type == "SRV")
        glue: list[Record] = []
        for target in targets:
            inside = target.lower().rstrip(".").split(".")[: -len(self._labels)]
            glue += [record for record in self._inside(target, inside) or () if record.type in ("A", "AAAA")]
        return glue

    # Forward names. None: no such name; an empty list: it exists without records.

    def _inside(self, asked: str, labels: list[str]) -> list[Record] | None:
        match labels:
            case []:
                return [*self._soa(asked), Record(asked, "NS", f"ns.dns.{self.domain}.")]
            case ["dns-version"]:
                return [Record(asked, "TXT", f'"{VERSION}"')]
            case ["dns"] | ["svc"]:
                return []
            case ["ns", "dns"]:
                return [_address(asked, self._dns_ip)]
            case ["pod"]:
                return None if self._pod_names == "disabled" else []
            case [*rest, namespace, "svc"]:
                return self._service_names(asked, rest, namespace)
            case [*rest, namespace, "pod"]:
                return self._pod_name(asked, rest, namespace)
            case _:
                return None

    def _service_names(self, asked: str, rest: list[str], namespace: str) -> list[Record] | None:
        if not rest:
            return [] if self._directory.has_namespace(namespace) else None
        service = self._directory.service(namespace, rest[-1])
        if service is None:
            return None
        if service.external_name:
            return [Record(asked, "CNAME", service.external_name.rstrip(".") + ".")] if len(rest) == 1 else None
        endpoints = [] if service.cluster_ips else self._directory.endpoints(service.key)
        if not service.cluster_ips and not endpoints:
            return None
        match rest:
            case [_]:
                return [_address(asked, ip) for ip in service.cluster_ips or _ips(endpoints)]
            case [protocol, _] if protocol.startswith("_"):
                return self._protocol(protocol[1:], service, endpoints)
            case [hostname, _]:
                ips = _ips([endpoint for endpoint in endpoints if endpoint.name.lower() == hostname])
                return [_address(asked, ip) for ip in ips] or None
            case [port, protocol, _] if port.startswith("_") and protocol.startswith("_"):
                return self._srv(asked, (port[1:], protocol[1:]), service, endpoints)
            case _:
                return None

    def _protocol(self, protocol: str, service: ServiceNames, endpoints: list[Endpoint]) -> list[Record] | None:
        """`_tcp.<service>…` has no records, and exists if there are names below it."""
        ports = [*service.ports, *(port for endpoint in endpoints for port in endpoint.ports)]
        return [] if any(name and kind == protocol for name, kind, _ in ports) else None

    def _srv(
        self, asked: str, wanted: tuple[str, str], service: ServiceNames, endpoints: list[Endpoint]
    ) -> list[Record] | None:
        if service.cluster_ips:
            targets = [(number, self._name_of(service.key)) for *port, number in service.ports if tuple(port) == wanted]
        else:
            targets = [
                (number, f"{endpoint.name}.{self._name_of(service.key)}")
                for endpoint in endpoints
                for *port, number in endpoint.ports
                if tuple(port) == wanted
            ]
        targets = list(dict.fromkeys(targets))
        weight = max(1, 100 // len(targets)) if targets else 0
        return [Record(asked, "SRV", f"0 {weight} {number} {target}") for number, target in targets] or None

    def _pod_name(self, asked: str, rest: list[str], namespace: str) -> list[Record] | None:
        if self._pod_names == "disabled" or not self._directory.has_namespace(namespace):
            return None
        if not rest:
            return []
        ip = _undash(rest[0]) if len(rest) == 1 else ""
        if not ip or (self._pod_names == "verified" and not self._directory.has_pod(namespace, ip)):
            return None
        return [_address(asked, ip)]

    def _name_of(self, key: Key) -> str:
        return f"{key.name}.{key.namespace}.svc.{self.domain}."

    # Reverse names.

    def _reverse(self, asked: str, labels: list[str]) -> list[Record] | None:
        ip = _unreverse(labels)
        if not ip:
            return None
        if service := self._directory.service_at(ip):
            return [Record(asked, "PTR", self._name_of(service.key))]
        names = [f"{endpoint.name}.{self._name_of(key)}" for key, endpoint in self._directory.endpoints_at(ip)]
        return [Record(asked, "PTR", name) for name in dict.fromkeys(names)] or None

    def is_ours(self, name: str) -> bool:
        """Whether we answer for a name: the zone, and the reverse names of the cluster's networks."""
        labels = name.lower().rstrip(".").split(".")
        if labels[-len(self._labels) :] == self._labels:
            return True
        ip = _unreverse(labels)
        return bool(ip) and any(_contains(network, ip) for network in self._networks)

    def _soa(self, owner: str = "") -> tuple[Record, ...]:
        domain = self.domain
        data = f"ns.dns.{domain}. hostmaster.{domain}. {self._directory.generation} 7200 1800 86400 {TTL_S}"
        return (Record(owner or f"{domain}.", "SOA", data),)


def _contains(network: IPv4Network | IPv6Network, ip: str) -> bool:
    address = ip_address(ip)
    return address.version == network.version and address in network


def _address(name: str, ip: str) -> Record:
    return Record(name, "AAAA" if ":" in ip else "A", ip)


def _ips(endpoints: Sequence[Endpoint]) -> list[str]:
    return list(dict.fromkeys(endpoint.ip for endpoint in endpoints))


def _undash(label: str) -> str:
    """`10-244-1-2` → `10.244.1.2`, `fd00--1` → `fd00::1`; empty for what is no address."""
    for separator in ".:":
        try:
            return str(ip_address(label.replace("-", separator)))
        except ValueError:
            continue
    return ""


def _unreverse(labels: Sequence[str]) -> str:
    """The address of a reverse name; empty for what is none."""
    digits = labels[-3::-1]
    try:
        if labels[-2] == "in-addr" and len(digits) == _V4_LABELS:
            return str(ip_address(".".join(digits)))
        if labels[-2] == "ip6" and len(digits) == _V6_LABELS and all(len(digit) == 1 for digit in digits):
            return str(IPv6Address(int("".join(digits), 16)))
    except (ValueError, IndexError):
        pass
    return ""
