"""`scale`: the number of replicas, through the scale subresource."""

import argparse

from miniplane.api.meta import Key
from miniplane.cli import printers, resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="+", metavar="KIND NAME")
    parser.add_argument("--replicas", type=int, required=True, help="how many there are to be")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Set it for each object named."""
    return connect(given, lambda client, namespace: _scale(client, namespace, given))


async def _scale(client: Client, namespace: str, given: argparse.Namespace) -> int:
    for wanted in resources.parse(await discover(client), given.words):
        if wanted.kind.subresource("scale") is None:
            raise ValueError(f"{wanted.kind.plural} can't be scaled")
        for name in wanted.names:
            key = Key(namespace, name)
            await client.patch(wanted.kind, key, {"spec": {"replicas": given.replicas}}, subresource="scale")
            print(f"{printers.identity(wanted.kind, name)} scaled")
    return 0
