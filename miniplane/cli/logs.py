"""`logs`: what a container wrote, to the end or as it comes."""

import argparse
import sys

from miniplane.api import meta
from miniplane.cli import pods
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.client.requests import Request
from miniplane.kinds import POD


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("pod", help="a pod's name, pod/name, or a workload such as deploy/name")
    parser.add_argument("-c", "--container", default="", help="which of the pod's containers")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-p", "--previous", action="store_true", help="the log of the container before its restart")
    parser.add_argument("--tail", type=int, default=None, metavar="LINES", help="only the last lines")
    parser.add_argument("--timestamps", action="store_true", help="the time before each line")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Print the log."""
    return connect(given, lambda client, namespace: _logs(client, namespace, given))


async def _logs(client: Client, namespace: str, given: argparse.Namespace) -> int:
    pod = await pods.find(client, namespace, given.pod)
    query = {
        "container": pods.container_of(pod, given.container),
        "follow": "true" if given.follow else "",
        "previous": "true" if given.previous else "",
        "tailLines": "" if given.tail is None else str(given.tail),
        "timestamps": "true" if given.timestamps else "",
    }
    query = {key: value for key, value in query.items() if value}
    async with client.open(Request("GET", POD.path(namespace, meta.name(pod), "log"), query), timeout_s=None) as answer:
        async for chunk in answer.content.iter_any():
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
    return 0
