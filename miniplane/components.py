"""Where the programs are: beside the kernel package in a checkout, inside it in a wheel.

Decided by location on disk, never by trying imports, so one process cannot hold two copies of a program, and a user's
own package named `controllers` is never taken for ours (docs/adr/0003).
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

PROGRAMS = ("apiserver", "controllers", "agents")
HERE = Path(__file__).resolve().parent


class Program(Protocol):
    """All that a launcher knows of a program."""

    Settings: type[Any]

    async def run(self, settings: Any, *, ready: Callable[[], None]) -> None:
        """Run until cancelled; call `ready` once it serves."""


class Agents(Program, Protocol):
    """What a launcher knows more of the node agents: how nodes of one machine get a network in the kernel."""

    async def hold(self, data_dir: Path, network: Any, *, ready: Callable[[], None]) -> None:
        """Hold the nodes' network until cancelled."""

    def enter_place(self, data_dir: Path, node: str, uid: str = "") -> None:
        """Move this process into the network of a pod or of a node."""

    def why_not(self) -> str:
        """Why the kernel's data path can't be had here; empty if it can."""


def folder(name: str) -> Path:
    """The folder of a program, of `migrations` or of `demo`, in a checkout or a wheel."""
    inside = HERE / name
    if inside.is_dir():
        return inside
    return HERE.parent / ("deploy/demo" if name == "demo" else name)


def agents() -> Agents:
    """The node agents."""
    return cast(Agents, load("agents"))


def load(name: str) -> Program:
    """The program of that name, imported. Raises ModuleNotFoundError for a name that is none."""
    if name not in PROGRAMS:
        raise ModuleNotFoundError(f"no program {name!r}: there are {', '.join(PROGRAMS)}")
    if (HERE / name).is_dir():
        return cast(Program, importlib.import_module(f"miniplane.{name}"))
    root = str(HERE.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    module: ModuleType = importlib.import_module(name)
    return cast(Program, module)
