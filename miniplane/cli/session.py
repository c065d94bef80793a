"""What every command that talks to a server shares: where the kubeconfig is, which namespace, and a running loop."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from miniplane.cli.flags import add_connection
from miniplane.client import Client
from miniplane.client import kubeconfig as files

__all__ = ["add_connection", "connect", "data_dir"]

T = TypeVar("T")


def data_dir(given: Path | None = None) -> Path:
    """The local cluster's state: `--data-dir`, else $MINIPLANE_DATA_DIR, else the user's state folder."""
    if given is not None:
        return given.absolute()
    if named := os.environ.get("MINIPLANE_DATA_DIR"):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "miniplane"


def _kubeconfig(arguments: argparse.Namespace) -> Path | None:
    if arguments.kubeconfig:
        return Path(arguments.kubeconfig)
    local = data_dir() / "kubeconfig"
    return local if not os.environ.get("KUBECONFIG") and local.exists() else None


def connect(arguments: argparse.Namespace, work: Callable[[Client, str], Awaitable[T]]) -> T:
    """Run `work(client, namespace)` on a loop of its own and close the client."""

    async def session() -> T:
        access = files.load(_kubeconfig(arguments), context=arguments.context)
        async with Client(access, user_agent="miniplane-cli") as client:
            return await work(client, getattr(arguments, "namespace", "") or access.namespace)

    return asyncio.run(session())
