"""`version` and `api-versions`: what we are, what the server is, and which groups and versions it serves."""

import argparse

import orjson

from miniplane import __version__
from miniplane.cli import printers
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("--client", action="store_true", help="version: without asking the server")
    parser.add_argument("-o", "--output", default="", choices=("", "yaml", "json"), help="version: as a document")
    add_connection(parser, namespace=False)


def run(given: argparse.Namespace) -> int:
    """Print them."""
    if given.command == "api-versions":
        return connect(given, lambda client, _: _api_versions(client))
    if given.client:
        return _print({"clientVersion": {"gitVersion": f"v{__version__}"}}, given.output)
    return connect(given, lambda client, _: _version(client, given.output))


async def _version(client: Client, form: str) -> int:
    server = orjson.loads(await client.request("GET", "/version"))
    return _print({"clientVersion": {"gitVersion": f"v{__version__}"}, "serverVersion": server}, form)


def _print(versions: dict[str, dict[str, str]], form: str) -> int:
    if form:
        print(printers.whole([versions], form, single=True))
        return 0
    print(f"miniplane {versions['clientVersion']['gitVersion'].removeprefix('v')}")
    if "serverVersion" in versions:
        print(f"Server Version: {versions['serverVersion']['gitVersion']}")
    return 0


async def _api_versions(client: Client) -> int:
    found = {kind.api_version for kind in await discover(client)}
    print("\n".join(sorted(found)))
    return 0
