"""What the nodes of one machine have in common: a namespace with a bridge, which stands for the nodes' network.

One small process makes it and holds it. Nodes join its user namespace, so that all of them may wire links into it, and
find it by the process id in a file. When it ends, so does the network. The bridge's own address is that of the user's
machine, from where clients come in.
"""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

from miniplane.config import Network
from miniplane.observe import logs

from .namespaces import ROUTER, Namespace, join_user_of, sysctl, unshare_private
from .netlink import Netlink

_TRIAL = "table ip try {\n chain c {\n type nat hook prerouting priority -100;\n ct state new accept\n }\n}\n"
"""Rules that need all of nftables that ours do."""

_RULES, _SYSCTL = 200, 201
_WHY_NOT = {
    0: "",
    _RULES: "nft can't load rules here (is nf_tables, with NAT, in the kernel?)",
    _SYSCTL: "/proc/sys/net can't be written, as in containers that are not privileged",
}
"""What the trial's exit codes mean; others are numbers of errors."""

log = logs.get("agents.network.underlay")

BRIDGE = "nodes"


def pid_file(data_dir: Path) -> Path:
    """Where the holder's process id stands."""
    return data_dir / "network.pid"


async def hold(data_dir: Path, network: Network, *, ready: Callable[[], None]) -> None:
    """Be the holder until cancelled. Raises OSError where namespaces are not allowed."""
    unshare_private()
    where = ip_network(network.node_cidr)
    core = Namespace.here()
    sysctl(ROUTER | {"ipv4/conf/all/accept_local": "1"})
    netlink = Netlink(core)
    try:
        netlink.up("lo")
        netlink.add_bridge(BRIDGE)
        netlink.add_address(BRIDGE, IPv4Address(int(where.network_address) + 1), where.prefixlen)
        netlink.up(BRIDGE)
        path = pid_file(data_dir)
        path.write_text(f"{os.getpid()}\n")
        log.info("network ready", cidr=network.node_cidr)
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            path.unlink(missing_ok=True)
    finally:
        netlink.close()
        core.close()


def why_not() -> str:
    """Why this machine can't have private networks; empty if it can. Tries in a child, which ends at once."""
    if shutil.which("nft") is None:
        return "nft is not installed (package nftables)"
    if not hasattr(os, "fork") or not Path("/proc/self/ns/net").exists():
        return "only Linux has network namespaces"
    pid = os.fork()
    if pid == 0:
        try:
            unshare_private()
            try:
                sysctl({"ipv4/ip_forward": "1"})
            except OSError:
                os._exit(_SYSCTL)
            netlink = Netlink(Namespace.here())
            netlink.add_bridge("try")
            tried = subprocess.run(["nft", "-f", "-"], input=_TRIAL, text=True, capture_output=True, check=False)  # noqa: S607  a fixed program, found by PATH
            if tried.returncode:
                os._exit(_RULES)
        except OSError as error:
            os._exit(min(error.errno or errno.EPERM, 127))
        except BaseException:  # noqa: BLE001  a child that only answers
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return _WHY_NOT[code] if code in _WHY_NOT else f"no private network namespaces: {os.strerror(abs(code))}"


@dataclass(slots=True)
class Underlay:
    """The nodes' network, as a node uses it."""

    core: Namespace
    netlink: Netlink
    cidr: IPv4Network
    worker: Executor
    """The thread that goes into namespaces."""
    holder: int
    """A descriptor of the holder's process."""

    @classmethod
    def join(cls, data_dir: Path, network: Network) -> "Underlay":
        """Enter the holder's user namespace; this process must have one thread. Raises OSError, ValueError."""
        pid = int(pid_file(data_dir).read_text())
        join_user_of(pid)
        worker = ThreadPoolExecutor(1, thread_name_prefix="network")
        core = Namespace.of(pid, worker)
        return cls(core, Netlink(core), IPv4Network(network.node_cidr), worker, os.pidfd_open(pid))

    async def watch(self) -> None:
        """Until cancelled. Raises OSError when the holder is gone: whoever starts later would find another network."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.holder, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self.holder)
        raise OSError(errno.ENETDOWN, "the holder of the nodes' network is gone")

    def close(self) -> None:
        """Let go of it."""
        os.close(self.holder)
        self.netlink.close()
        self.core.close()
        self.worker.shutdown()
