"""`shell NODE|POD [-- COMMAND …]`: the machine's own tools inside the network of a pod or a node (kernel data path)."""

import argparse
import os
from functools import partial
from pathlib import Path

from miniplane import components
from miniplane.api import meta
from miniplane.cli.session import add_connection, connect, data_dir
from miniplane.client import Client
from miniplane.errors import NotFound
from miniplane.kinds import NODE, POD


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_connection(parser)
    parser.add_argument("where", metavar="NODE|POD", help="a node's or a pod's name; pod/NAME where both exist")
    parser.add_argument("--data-dir", type=Path, help="the cluster's folder (default: $MINIPLANE_DATA_DIR)")


def run(given: argparse.Namespace) -> int:
    """Become the command, or a shell, in that network; files and processes are the machine's."""
    node, uid = connect(given, partial(_find, given.where))
    components.agents().enter_place(data_dir(given.data_dir), node, uid)
    command = given.after or [os.environ.get("SHELL", "/bin/sh")]
    os.execvp(command[0], command)  # noqa: S606  what the user asks for


async def _find(where: str, client: Client, namespace: str) -> tuple[str, str]:
    """The node, and the pod's uid if it is one with a network of its own. Raises LookupError, NotFound."""
    kind, _, name = where.rpartition("/")
    if kind in ("", "node", "nodes"):
        try:
            return meta.name(await client.get(NODE, name)), ""
        except NotFound:
            if kind:
                raise
    pod = await client.get(POD, name, namespace)
    node = pod["spec"].get("nodeName")
    if not node:
        raise LookupError(f"pod {name} runs on no node")
    return node, "" if pod["spec"].get("hostNetwork") else meta.uid(pod)
