"""A pod's resolv.conf: which names a name is looked up as, and whom the pod asks. Pure.

The rules are resolv.conf(5)'s: a name with fewer than `ndots` dots is tried with each entry of the search list first.
Counterpart upstream: kubelet's network/dns (what is written into a pod's resolv.conf).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from miniplane import config
from miniplane.api.kind import Object

NDOTS = 5
_MAX_NAMESERVERS = 3
_MAX_SEARCH = 32
_MAX_SEARCH_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """A pod's resolv.conf."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def ndots(self) -> int:
        """How many dots make a name absolute; 1 where it is not said."""
        text = self.options.get("ndots", "1")
        return int(text) if text.isdigit() else 1

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        words = [f"{name}:{value}" if value else name for name, value in self.options.items()]
        if words:
            lines.append("options " + " ".join(words))
        return "".join(line + "\n" for line in lines)

    def candidates(self, name: str) -> list[str]:
        """The absolute names to ask for, in order."""
        if name.endswith("."):
            return [name]
        searched = [f"{name}.{suffix.rstrip('.')}." for suffix in self.search]
        absolute = [f"{name}."]
        return absolute + searched if name.count(".") >= self.ndots else searched + absolute


NO_RESOLVER = ResolvConf()


def parse(text: str) -> ResolvConf:
    """A resolv.conf as it is written; what is no known line is passed over."""
    nameservers: dict[str, None] = {}
    search: list[str] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        word, *rest = line.partition("#")[0].partition(";")[0].split() or [""]
        if word == "nameserver" and rest:
            nameservers[rest[0]] = None
        elif word in ("search", "domain"):
            search = rest
        elif word == "options":
            options |= {name: value for name, _, value in (option.partition(":") for option in rest)}
    return ResolvConf(tuple(nameservers)[:_MAX_NAMESERVERS], tuple(search), options)


def resolv_conf(pod: Object, network: config.Network, node: ResolvConf = NO_RESOLVER) -> ResolvConf:
    """What the kubelet writes for the pod, by its dnsPolicy and dnsConfig; `node` is what its node has."""
    spec = pod.get("spec") or {}
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if spec.get("hostNetwork") and policy == "ClusterFirst":
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        zone, namespace = network.cluster_domain, pod["metadata"].get("namespace", "")
        own = (f"{namespace}.svc.{zone}", f"svc.{zone}", zone)
        base = ResolvConf((network.dns_ip,), (*own, *node.search), {**node.options, "ndots": str(NDOTS)})
    else:
        base = node if policy == "Default" else ResolvConf()
    extra = spec.get("dnsConfig") or {}
    options = {option["name"]: option.get("value", "") for option in extra.get("options") or ()}
    servers = dict.fromkeys([*base.nameservers, *(extra.get("nameservers") or ())])
    search = dict.fromkeys([*base.search, *(extra.get("searches") or ())])
    return ResolvConf(tuple(servers)[:_MAX_NAMESERVERS], _within_limits(search), {**base.options, **options})


def _within_limits(search: Iterable[str]) -> tuple[str, ...]:
    """As many entries of a search list as resolvers take."""
    taken: list[str] = []
    for domain in search:
        if len(taken) == _MAX_SEARCH or len(" ".join((*taken, domain))) > _MAX_SEARCH_LENGTH:
            break
        taken.append(domain)
    return tuple(taken)
