"""Network namespaces without names: made by this process, held by descriptors, gone with the last of them."""

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

_QUIET = {
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv4/ip_unprivileged_port_start": "0",
}
"""For every namespace, before it has links."""
ROUTER = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/icmp_ratelimit": "0",
    "ipv4/icmp_msgs_per_sec": "1000000",
    "ipv4/icmp_msgs_burst": "100000",
    "bridge/bridge-nf-call-iptables": "0",
    "bridge/bridge-nf-call-ip6tables": "0",
}
"""For namespaces that forward: without redirects and without limits on rejections (docs/adr/0009)."""


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare_private() -> None:
    """Move this process, which must have one thread, into a network namespace of its own.

    An ordinary user becomes root of a user namespace with it; whoever is root already stays who they are. Raises
    OSError where the system does not allow it.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _check(_libc.unshare(_NEWNET))
        return
    _check(_libc.unshare(_NEWUSER | _NEWNS | _NEWNET))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path("/proc/self", name).write_text(text)


def join_user_of(pid: int) -> None:
    """Be in the user namespace of another process; this one must have one thread and keeps its network."""
    theirs = Path(f"/proc/{pid}/ns/user")
    if theirs.readlink() == Path("/proc/self/ns/user").readlink():
        return
    descriptor = os.open(theirs, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, _NEWUSER))
    finally:
        os.close(descriptor)


def enter(path: Path) -> None:
    """Move this thread into the namespace that a path names."""
    descriptor = _open(str(path))
    try:
        _check(_libc.setns(descriptor, _NEWNET))
    finally:
        os.close(descriptor)


def reset(descriptor: int) -> None:
    """Take a TCP socket's connection away at once, with a reset to its peer; it may still be connecting."""
    nobody = socket.AF_UNSPEC.to_bytes(16, sys.byteorder)
    _libc.connect(descriptor, nobody, len(nobody))  # an error means that it had none


class Namespace:
    """A network namespace. What is done there is done by `worker`, in whose thread nothing else happens.

    An ordinary user's thread that has left the machine's own namespace can't go back, so the thread that runs the loop
    never leaves it. Without a worker the namespace is that of the whole process.
    """

    def __init__(self, descriptor: int, worker: Executor | None = None) -> None:
        self.descriptor = descriptor
        self._worker = worker

    @classmethod
    def here(cls) -> "Namespace":
        """The one that this process is in."""
        return cls(_open("/proc/self/ns/net"))

    @classmethod
    def of(cls, pid: int, worker: Executor) -> "Namespace":
        """That of another process."""
        return cls(_open(f"/proc/{pid}/ns/net"), worker)

    def new(self, *, router: bool = False) -> "Namespace":
        """A fresh one in the hands of the same worker. `router` lets it forward."""

        def make() -> int:
            _check(_libc.unshare(_NEWNET))
            sysctl(_QUIET | (ROUTER if router else {}))
            return _open("/proc/thread-self/ns/net")

        assert self._worker is not None
        return Namespace(self._worker.submit(make).result(), self._worker)

    def call(self, work: Callable[[], T]) -> T:
        """Do something short in it, such as opening a socket: what is opened or started belongs to it for ever."""
        if self._worker is None:
            return work()
        return self._worker.submit(self._inside, work).result()

    def _inside(self, work: Callable[[], T]) -> T:
        if self.descriptor < 0:
            raise OSError(errno.ENETDOWN, "this network has been taken down")
        _check(_libc.setns(self.descriptor, _NEWNET))
        return work()

    def close(self) -> None:
        """Let go of it. Idempotent. Whoever still wants in is refused, as the number soon names another."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def sysctl(values: Mapping[str, str]) -> None:
    """Set values of the present namespace; those that it does not have are left alone."""
    for name, value in values.items():
        path = Path("/proc/sys/net", name)
        if path.exists():
            path.write_text(value)
