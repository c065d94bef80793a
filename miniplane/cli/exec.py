"""`exec`: a command in a container; its exit code is ours."""

import argparse
import asyncio
import sys

from miniplane.api import meta
from miniplane.cli import pods
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.client.streams import Channel, execute


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's; the command stands behind `--`."""
    parser.add_argument("pod", help="a pod's name, pod/name, or a workload such as deploy/name")
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


async def _exec(client: Client, namespace: str, given: argparse.Namespace) -> int:
    pod = await pods.find(client, namespace, given.pod)
    container = pods.container_of(pod, given.container)
    stdin = await _stdin() if given.stdin else None
    code = await execute(client, meta.key_of(pod), given.after, container=container, stdin=stdin, write=_write)
    if code:
        print(f"command terminated with exit code {code}", file=sys.stderr)
    return code
