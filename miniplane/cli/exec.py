"""`exec`: a command in a container; its exit code is ours."""

import argparse
import asyncio
import sys

from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.cli import resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.client.streams import Channel, execute
from miniplane.kinds import POD

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's; the command stands behind `--`."""
    parser.add_argument("pod", help="a pod's name, or pod/name")
    parser.add_argument("-c", "--container", default="", help="which of the pod's containers")
    parser.add_argument("-i", "--stdin", action="store_true", help="pass our standard input on")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run it, passing output on as it comes."""
    if not given.after:
        raise ValueError("you must specify at least one command for the container: exec POD -- COMMAND")
    return connect(given, lambda client, namespace: _exec(client, namespace, given))


def _write(channel: Channel, data: bytes) -> None:
    stream = sys.stdout if channel is Channel.STDOUT else sys.stderr
    stream.buffer.write(data)
    stream.flush()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _default_container(client: Client, namespace: str, name: str) -> str:
    """The container that the pod's annotation names, else the first; several are told."""
    pod = await client.get(POD, name, namespace)
    names = [container["name"] for container in pod["spec"]["containers"]]
    if (chosen := meta.annotations(pod).get(DEFAULT_CONTAINER)) in names:
        return str(chosen)
    if len(names) > 1:
        print(f'Defaulted container "{names[0]}" out of: {", ".join(names)}', file=sys.stderr)
    return str(names[0])


async def _exec(client: Client, namespace: str, given: argparse.Namespace) -> int:
    _, name = resources.one([given.pod] if "/" in given.pod else ["pod", given.pod])
    stdin = await _stdin() if given.stdin else None
    container = given.container or await _default_container(client, namespace, name)
    code = await execute(client, Key(namespace, name), given.after, container=container, stdin=stdin, write=_write)
    if code:
        print(f"command terminated with exit code {code}", file=sys.stderr)
    return code
