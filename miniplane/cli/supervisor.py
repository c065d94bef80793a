"""Processes of a local cluster: forked from one that has imported everything, watched, restarted, stopped in order.

Forking after the imports and before any loop or thread starts pays for imports and their memory once. A child that
dies is started again with a growing pause; children end by themselves if the supervisor is gone, because a pipe that
it holds closes then.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from miniplane.observe import logs
from miniplane.process import Run, run_until_stopped

log = logs.get("miniplane.supervisor")

STOP_S = 10.0
"""How long a child may take to stop before it is killed."""
BACK_OFF_S = (0.2, 1.0, 5.0, 15.0)
"""The pause before a start again, by how often the child has died."""
HEALTHY_S = 30.0
"""A program that ran so long before it died begins its pauses anew."""
READY = b"r"


@dataclass(slots=True)
class Child:
    """One program's process; `pid` is 0 while it does not run."""

    name: str
    run: Run
    log: Path
    pid: int = 0
    deaths: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0


class StartError(RuntimeError):
    """A program did not become ready; the message holds the end of its log."""


class Supervisor:
    """Starts children, keeps them running, stops them. Synchronous: it has nothing to do but wait."""

    def __init__(self, log_dir: Path, *, level: str = "info", restarted: Callable[[], None] = lambda: None) -> None:
        self._log_dir, self._level = log_dir, level
        self._restarted = restarted
        self._children: list[Child] = []
        self._lifeline = os.pipe()
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        """`{program: process id}`."""
        return {child.name: child.pid for child in self._children}

    def start(self, programs: dict[str, Run], *, timeout_s: float) -> None:
        """Start programs side by side and return when all are ready. Raises StartError."""
        waiting: dict[int, Child] = {}
        for name, run in programs.items():
            child = Child(name, run, self._log_dir / f"{name}.log")
            self._children.append(child)
            waiting[self._fork(child)] = child
        deadline = time.monotonic() + timeout_s
        try:
            for pipe, child in waiting.items():
                self._await_ready(pipe, child, deadline)
        finally:
            for pipe in waiting:
                os.close(pipe)

    def _await_ready(self, pipe: int, child: Child, deadline: float) -> None:
        import select  # noqa: PLC0415  # POSIX only, as forking is

        left = max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([pipe], [], [], left)
        word = os.read(pipe, 1) if readable else b""
        if word != READY:
            why = "did not become ready in time" if not readable else "failed to start"
            raise StartError(f"{child.name} {why}; the end of {child.log}:\n{tail(child.log)}")

    def _fork(self, child: Child) -> int:
        """Start a child; gives the pipe on which it says that it is ready."""
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.close(self._lifeline[1])
            self._be(child, writing)
        os.close(writing)
        child.pid, child.started_at = pid, time.monotonic()
        return reading

    def _be(self, child: Child, ready_pipe: int) -> NoReturn:
        """The child's life, from fork to exit; never returns into the parent's code."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's, which stops us in order
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            output = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            logs.configure(self._level)
            run_until_stopped(child.run, lambda: _say(ready_pipe), self._lifeline[0])
            code = 0
        except BaseException:  # noqa: BLE001  # the last frame of a process: say why, then leave
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Restart children that die until a signal asks to stop or `stopped` says so."""
        with _signals(self._ask_to_stop):
            while not self._stopping and not stopped():
                self._reap()
                signal.sigtimedwait([signal.SIGCHLD], 0.5) if hasattr(signal, "sigtimedwait") else time.sleep(0.5)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _reap(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                if now - child.started_at > HEALTHY_S:
                    child.deaths = 0
                pause = BACK_OFF_S[min(child.deaths, len(BACK_OFF_S) - 1)]
                child.pid, child.deaths, child.restart_at = 0, child.deaths + 1, now + pause
                log.error("program died", program=child.name, log=str(child.log), again_in_s=pause)
            elif not child.pid and now >= child.restart_at:
                os.close(self._fork(child))
                self._restarted()

    def stop(self) -> None:
        """Stop the children, last started first; one that does not end in time is killed."""
        for child in reversed(self._children):
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
                _wait(child.pid)
                child.pid = 0
        self._children.clear()
        for end in self._lifeline:
            os.close(end)


def _say(pipe: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits after a restart
        os.write(pipe, READY)
        os.close(pipe)


def _wait(pid: int) -> None:
    deadline = time.monotonic() + STOP_S
    with contextlib.suppress(ChildProcessError):
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
            time.sleep(0.02)


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log file, indented."""
    text = path.read_text(errors="replace") if path.exists() else "(empty)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
