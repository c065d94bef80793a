"""Private network namespaces for one process: made without a name, held by descriptors, gone with the process."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter_private() -> None:
    """Move this process, which must have one thread, into a user and network namespace of its own, as root there.

    It dies with its parent, so that nothing stays behind whatever happens to that.
    """
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    _check(_libc.unshare(_NEWUSER | _NEWNS | _NEWNET))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path("/proc/self", name).write_text(text)


class Namespace:
    """A network namespace. `path` names it to other processes as long as this one lives."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.path = f"/proc/{os.getpid()}/fd/{descriptor}"

    @classmethod
    def here(cls) -> "Namespace":
        """The one that this thread is in."""
        return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def new(cls) -> "Namespace":
        """A fresh one; this thread stays where it is."""
        home = cls.here()
        try:
            _check(_libc.unshare(_NEWNET))
            return cls.here()
        finally:
            home.enter()
            home.close()

    def enter(self) -> None:
        """Move this thread there: what it opens and starts from now on belongs to it."""
        _check(_libc.setns(self._descriptor, _NEWNET))

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in it for a while."""
        home = Namespace.here()
        self.enter()
        try:
            yield
        finally:
            home.enter()
            home.close()
