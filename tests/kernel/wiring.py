"""A cluster's links: a namespace per node and per place for a pod, all made once and used for every cluster tested.

    outside ── bridge (172.30.0.0/24) ─┬─ node-1 ── routed veths ─┬─ 10.244.1.2
                                       ├─ node-2                   └─ …
                                       ├─ node-3
                                       └─ abroad

What differs between clusters are rules and routes, which `load` replaces. Addresses that nobody has are routed to the
device `void`: an unreachable route would answer before the rules have their say.
"""

import os
import socket
import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.kernel.namespaces import Namespace
from tests.property.dataplane_strategies import sixth

GATEWAY = "169.254.1.1"
OUTSIDE = "172.30.0.1"
CLIENTS = (OUTSIDE, "203.0.113.7", "198.51.100.20")
"""Addresses of the outside, from which packets enter at any node."""
ABROAD = "172.30.0.2"
FOREIGN = ("203.0.113.9", "192.0.2.50")
"""Addresses beyond the outside, that one can only go to."""
OURS = 99
"""The routing protocol number that marks a cluster's own routes."""
NODES = (1, 2, 3)
PLACES = range(2, 11)
"""The last numbers of a node's pod addresses."""

_ROUTER = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/icmp_ratelimit": "0",
    "ipv4/icmp_msgs_per_sec": "1000000",
    "ipv4/icmp_msgs_burst": "100000",
    "ipv6/conf/all/forwarding": "1",
    "ipv6/icmp/ratelimit": "0",
}
_HOST = {
    "ipv4/ping_group_range": "0 0",
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
}
"""For every namespace, before it has links: addresses of IPv6 are usable at once."""


GATEWAY_6 = "fe80::1"


def node_address(number: int) -> str:
    """A node's address."""
    return f"172.30.0.{10 + number}"


def sysctl(values: Mapping[str, str]) -> None:
    """Set the present namespace's; those that it has not are left alone."""
    for name, value in values.items():
        path = Path("/proc/sys/net", name)
        if path.exists():
            path.write_text(value)


def run(*command: str, text: str = "") -> str:
    """Run a command in the present namespace; what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def forget_connections() -> None:
    """Empty the present namespace's connection table (IPCTNL_MSG_CT_DELETE without a filter, as `conntrack -F`).

    Else a UDP port that is used again follows the rules of before.
    """
    family, delete, request_and_acknowledge = 12, 0x0102, 0x5
    message = struct.pack("=IHHIIBBH", 20, delete, request_and_acknowledge, 1, 0, socket.AF_UNSPEC, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as netlink:
        netlink.send(message)
        number = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if number:
        raise OSError(-number, os.strerror(-number))


def ip(lines: Iterable[str], *options: str) -> None:
    """A batch of `ip` commands in the present namespace."""
    run("ip", *options, "-batch", "-", text="\n".join(lines) + "\n")


class Wiring:
    """All namespaces, wired. Must be made in a private namespace, which becomes the outside."""

    def __init__(self) -> None:
        self.outside = Namespace.here()
        self.abroad = Namespace.new()
        self.nodes = {f"node-{number}": Namespace.new() for number in NODES}
        self.pods = {f"10.244.{node}.{place}": Namespace.new() for node in NODES for place in PLACES}
        for place in (self.outside, self.abroad, *self.nodes.values(), *self.pods.values()):
            with place.inside():
                sysctl(_HOST)
        self._wire_outside()
        self._wire_abroad()
        for number in NODES:
            self._wire_node(number)

    def load(self, rules: Mapping[str, str], routes: Mapping[str, Sequence[str]]) -> None:
        """Replace the nodes' rules and routes; connections are forgotten."""
        started = []
        for name, node in self.nodes.items():
            with node.inside():
                own = routes.get(name, ())
                for command, text in (
                    (("ip", "-4", "-batch", "-"), _routes(line for line in own if ":" not in line)),
                    (("ip", "-6", "-batch", "-"), _routes(line for line in own if ":" in line)),
                    (("nft", "-f", "-"), f"flush ruleset\n{rules.get(name, '')}"),
                ):
                    pipe = subprocess.PIPE
                    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
                    started.append((process, text))
        failures = [(process.communicate(text)[1], process.returncode) for process, text in started]
        for words, code in failures:
            if code:
                raise RuntimeError(words[-2000:])
        for node in self.nodes.values():
            with node.inside():
                forget_connections()

    def _wire_outside(self) -> None:
        lines = ["link set lo up", "link add br0 type bridge", f"addr add {OUTSIDE}/24 dev br0", "link set br0 up"]
        lines += [f"addr add {address}/32 dev lo" for address in CLIENTS[1:]]
        lines += [
            f"link add abroad type veth peer name eth0 netns {self.abroad.path}",
            "link set abroad master br0 up",
            *(f"route add {address} via {ABROAD}" for address in FOREIGN),
        ]
        for number in NODES:
            path = self.nodes[f"node-{number}"].path
            lines += [
                f"link add node{number} type veth peer name eth0 netns {path}",
                f"link set node{number} master br0 up",
                f"route add default via {node_address(number)} table {100 + number} onlink dev br0",
                f"rule add fwmark {number} table {100 + number} priority 10",
            ]
        ip(lines)
        six = [f"addr add {sixth(OUTSIDE)}/64 dev br0 nodad"]
        six += [f"addr add {sixth(address)}/128 dev lo nodad" for address in CLIENTS[1:]]
        six += [f"route add {sixth(address)} via {sixth(ABROAD)}" for address in FOREIGN]
        for number in NODES:
            six += [
                f"route add default via {sixth(node_address(number))} table {100 + number} onlink dev br0",
                f"rule add fwmark {number} table {100 + number} priority 10",
            ]
        ip(six, "-6")
        sysctl(
            _ROUTER
            | {
                "bridge/bridge-nf-call-iptables": "0",
                "bridge/bridge-nf-call-ip6tables": "0",
                "ipv4/conf/all/accept_local": "1",
            }
        )

    def _wire_abroad(self) -> None:
        lines = ["link set lo up", f"addr add {ABROAD}/24 dev eth0", "link set eth0 up"]
        lines += [f"addr add {address}/32 dev lo" for address in FOREIGN]
        with self.abroad.inside():
            ip([*lines, f"route add default via {OUTSIDE}"])
            six = [f"addr add {sixth(ABROAD)}/64 dev eth0 nodad", f"route add default via {sixth(OUTSIDE)}"]
            ip([*six, *(f"addr add {sixth(address)}/128 dev lo nodad" for address in FOREIGN)], "-6")

    def _wire_node(self, number: int) -> None:
        lines = [
            "link set lo up",
            f"addr add {GATEWAY}/32 dev lo scope host",
            f"addr add {node_address(number)}/24 dev eth0",
            "link set eth0 up",
            "link add void type veth peer name nowhere",
            "link set void up",
            "link set nowhere up",
            f"route add default via {OUTSIDE}",
        ]
        for place in PLACES:
            path = self.pods[f"10.244.{number}.{place}"].path
            lines += [f"link add pod{place} type veth peer name eth0 netns {path}", f"link set pod{place} up"]
        with self.nodes[f"node-{number}"].inside():
            sysctl(_ROUTER)
            ip(lines)
            six = [f"addr add {sixth(node_address(number))}/64 dev eth0 nodad"]
            six += [f"route add default via {sixth(OUTSIDE)}"]
            ip([*six, *(f"addr add {GATEWAY_6}/64 dev pod{place} nodad" for place in PLACES)], "-6")
        for place in PLACES:
            address = f"10.244.{number}.{place}"
            with self.pods[address].inside():
                ip(
                    [
                        "link set lo up",
                        f"addr add {address}/32 dev eth0",
                        "link set eth0 up",
                        f"route add default via {GATEWAY} dev eth0 onlink",
                        f"addr add {sixth(address)}/128 dev eth0 nodad",
                        f"route add default via {GATEWAY_6} dev eth0",
                    ]
                )


def _routes(routes: Iterable[str]) -> str:
    return "\n".join([f"route flush proto {OURS}", *(f"route add {line} proto {OURS}" for line in routes), ""])
