"""Starting a local cluster's supervisor in a process of its own, and hearing from it how far it is."""

import contextlib
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from miniplane.cli.state import AlreadyUp, Lock, State
from miniplane.cli.supervisor import StartError, Supervisor
from miniplane.local import LocalCluster
from miniplane.observe import logs

START_S = 60.0
"""How long the programs may take to become ready; they need about a second."""


class Failed(RuntimeError):
    """The supervisor could not start the cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that is done: what, and how many seconds after the beginning."""

    what: str
    seconds: float


@dataclass(slots=True)
class Running:
    """The supervisor as its starter sees it. `hold` is a pipe's end: the cluster stops when it closes."""

    pid: int
    hold: int

    def let_go(self) -> None:
        """Leave the cluster running without us."""
        os.write(self.hold, b"d")
        os.close(self.hold)

    def stop(self) -> None:
        """Stop the cluster and wait until it has."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self.wait()

    def wait(self) -> int:
        """Wait for the supervisor's end."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def launch(cluster: LocalCluster, on_progress: Callable[[Progress], None]) -> Running:
    """Fork a supervisor and return when the cluster is ready. Raises AlreadyUp, Failed."""
    log_dir = cluster.data_dir / "logs"
    cluster.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_dir.mkdir(exist_ok=True)
    cluster.prepare()
    first, others = cluster.first(), cluster.others()  # imports everything, before any fork
    gc.freeze()
    told, telling = os.pipe()
    holding, hold = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.close(hold)
        _supervise(cluster, (first, others), telling, holding)
    os.close(telling)
    os.close(holding)
    try:
        for message in _messages(told):
            if "error" in message:
                os.waitpid(pid, 0)
                raise (AlreadyUp if message["kind"] == "AlreadyUp" else Failed)(message["error"])
            on_progress(Progress(message["what"], message["seconds"]))
    except KeyboardInterrupt:
        Running(pid, hold).stop()
        raise
    finally:
        os.close(told)
    return Running(pid, hold)


def _messages(pipe: int) -> Iterator[dict[str, Any]]:
    with os.fdopen(os.dup(pipe)) as lines:
        for line in lines:
            message = json.loads(line)
            if message.get("what") == "end":
                return
            yield message
    raise Failed("the supervisor ended before the cluster was ready")


def _supervise(cluster: LocalCluster, programs: tuple[list[Any], list[Any]], telling: int, holding: int) -> NoReturn:
    """The supervisor's life; never returns into the starter's code."""
    code = 1
    try:
        os.setsid()
        code = _run(cluster, programs, telling, holding)
    except (AlreadyUp, StartError) as error:
        _tell(telling, error=str(error), kind=type(error).__name__)
    except BaseException as error:  # noqa: BLE001  # the last frame of a process: say why, then leave
        _tell(telling, error=f"{type(error).__name__}: {error}", kind="")
        traceback.print_exc()
    finally:
        os._exit(code)


def _tell(pipe: int, **message: Any) -> None:
    with contextlib.suppress(OSError):
        os.write(pipe, json.dumps(message).encode() + b"\n")


def _run(cluster: LocalCluster, programs: tuple[list[Any], list[Any]], telling: int, holding: int) -> int:
    start = time.monotonic()
    lock = Lock(cluster.data_dir)
    lock.take()
    _quiet(cluster)
    first, others = programs

    def save() -> None:
        State(cluster.port, cluster.nodes, os.getpid(), supervisor.pids).save(cluster.data_dir)

    supervisor = Supervisor(cluster.data_dir / "logs", level=cluster.log_level, restarted=save)
    signal.signal(signal.SIGTERM, _raise)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start_first = "API server" if len(first) == 1 else "API server, and the nodes' network"
        for batch, what in ((first, start_first), (others, f"controllers and {cluster.nodes} node agents")):
            supervisor.start({item.name: _bind(item) for item in batch}, timeout_s=START_S)
            _tell(telling, what=what, seconds=time.monotonic() - start)
        save()
        _tell(telling, what="end")
        os.close(telling)
        os.set_blocking(holding, False)
        supervisor.watch(_Hold(holding).is_gone)
    except _Stop:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.stop()
        State(cluster.port, cluster.nodes).save(cluster.data_dir)
        lock.release()
    return 0


class _Stop(Exception):
    """SIGTERM during the start."""


def _raise(_number: int, _frame: object) -> None:
    raise _Stop


def _bind(item: Any) -> Callable[[Callable[[], None]], Any]:
    return lambda ready: item.run(ready=ready)


def _quiet(cluster: LocalCluster) -> None:
    """Standard streams of a supervisor belong to its log: the terminal may go away."""
    output = os.open(cluster.data_dir / "logs" / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    logs.configure(cluster.log_level)


class _Hold:
    """The starter's end of a pipe: a byte means that it lets go, end of file that it died."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self._released = pipe, False

    def is_gone(self) -> bool:
        """Whether the starter died without letting go."""
        if self._released:
            return False
        try:
            word = os.read(self._pipe, 1)
        except BlockingIOError:
            return False
        self._released = bool(word)
        return not word
