"""A node's namespace and the links of its pods: `Network` in the kernel.

    core (bridge `nodes`) ── eth0, node ── routed veth ── eth0, pod

A pod has a /32 and a default route through 169.254.1.1, an address of the node's loopback with scope host; the node has
a route to each pod by its link, with its own address as source. So all traffic crosses the node's hooks.
"""

import contextlib
import zlib
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network

from .links import KernelLink
from .netlink import HOST, Netlink
from .underlay import BRIDGE, Underlay

GATEWAY = IPv4Address("169.254.1.1")
_DEFAULT = IPv4Network("0.0.0.0/0")
VOID = "void"
"""The link that leads nowhere: addresses of ours that nobody has are routed there, so that the rules have their say."""


def _link_name(prefix: str, text: str) -> str:
    """A name of at most 15 characters; the same for the same pod."""
    return f"{prefix}{zlib.crc32(text.encode()):08x}"


class KernelNetwork:
    """One node's namespaces. Synchronous inside: each step takes about a millisecond."""

    def __init__(
        self, underlay: Underlay, node: str, ip: str, *, changed: Callable[[Mapping[str, int]], None] = lambda _: None
    ) -> None:
        self._underlay, self._changed = underlay, changed
        self.address = IPv4Address(ip)
        self.namespace = underlay.core.new(router=True)
        self.netlink = Netlink(self.namespace)
        self._port = _link_name("n", node)
        self._host = KernelLink(self.namespace, ip)
        self._links: dict[str, tuple[KernelLink, str]] = {}
        self._wire()
        self._tell()

    def _tell(self) -> None:
        """Say which descriptors are which namespaces."""
        pods = {uid: link.namespace.descriptor for uid, (link, _) in self._links.items()}
        self._changed({"": self.namespace.descriptor, **pods})

    def _wire(self) -> None:
        core, here = self._underlay.netlink, self.netlink
        with contextlib.suppress(OSError):
            core.delete(self._port)  # left by an agent that was killed
        here.up("lo")
        here.add_address("lo", GATEWAY, 32, HOST)
        core.add_pair(self._port, "eth0", self.namespace)
        core.enslave(self._port, BRIDGE)
        core.up(self._port)
        cidr = self._underlay.cidr
        here.add_address("eth0", self.address, cidr.prefixlen)
        here.up("eth0")
        here.add_pair(VOID, "nowhere", self.namespace)
        here.up(VOID)
        here.up("nowhere")
        here.set_route(_DEFAULT, link="eth0", via=IPv4Address(int(cidr.network_address) + 1))

    # The contract of `Network`.

    async def attach(self, uid: str, ip: str) -> KernelLink:
        """See `Network`. Raises OSError, EADDRINUSE for an address that another pod has."""
        known = self._links.get(uid)
        if known is not None and known[0].ip == ip:
            return known[0]
        if any(link.ip == ip for other, (link, _) in self._links.items() if other != uid):
            raise OSError(98, f"{ip} belongs to another pod")
        await self.detach(uid)
        address, name = IPv4Address(ip), _link_name("p", uid)
        pod = self._underlay.core.new()
        try:
            inside = Netlink(pod)
            try:
                self.netlink.add_pair(name, "eth0", pod)
                self.netlink.up(name)
                inside.up("lo")
                inside.add_address("eth0", address, 32)
                inside.up("eth0")
                inside.set_route(_DEFAULT, link="eth0", via=GATEWAY)
            finally:
                inside.close()
            self.netlink.set_route(IPv4Network(ip), link=name, source=self.address)
        except BaseException:
            with contextlib.suppress(OSError):
                self.netlink.delete(name)
            pod.close()
            raise
        link = KernelLink(pod, ip)
        self._links[uid] = link, name
        self._tell()
        return link

    async def detach(self, uid: str) -> None:
        """See `Network`."""
        known = self._links.pop(uid, None)
        if known is None:
            return
        link, name = known
        link.close()
        with contextlib.suppress(OSError):
            self.netlink.delete(name)
        link.namespace.close()
        self._tell()

    def host(self) -> KernelLink:
        """See `Network`."""
        return self._host

    async def aclose(self) -> None:
        """Take every link away, and the node from the nodes' network."""
        for uid in list(self._links):
            await self.detach(uid)
        self._host.close()
        with contextlib.suppress(OSError):
            self._underlay.netlink.delete(self._port)
        self.netlink.close()
        self.namespace.close()
