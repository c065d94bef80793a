"""A pod's resolv.conf: which names a name is looked up as, and whom the pod asks. Pure.

The rules are resolv.conf(5)'s: a name with fewer than `ndots` dots is tried with each entry of the search list first.
Counterpart upstream: kubelet's network/dns (what is written into a pod's resolv.conf).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from miniplane import config
from miniplane.api.kind import Object

NDOTS = 5
_MAX_NAMESERVERS = 3
_MAX_SEARCH = 32


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


def resolv_conf(pod: Object, network: config.Network) -> ResolvConf:
    """What the kubelet writes for the pod, by its dnsPolicy and dnsConfig."""
    spec = pod.get("spec") or {}
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if spec.get("hostNetwork") and policy == "ClusterFirst":
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        zone, namespace = network.cluster_domain, pod["metadata"].get("namespace", "")
        base = ResolvConf((network.dns_ip,), (f"{namespace}.svc.{zone}", f"svc.{zone}", zone), {"ndots": str(NDOTS)})
    else:
        base = ResolvConf()
    extra = spec.get("dnsConfig") or {}
    options = {option["name"]: option.get("value", "") for option in extra.get("options") or ()}
    servers = dict.fromkeys([*base.nameservers, *(extra.get("nameservers") or ())])
    search = dict.fromkeys([*base.search, *(extra.get("searches") or ())])
    return ResolvConf(tuple(servers)[:_MAX_NAMESERVERS], tuple(search)[:_MAX_SEARCH], {**base.options, **options})
