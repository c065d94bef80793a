"""`patch`: change a part of an object, strategically unless the kind is a custom one."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from miniplane.api import meta
from miniplane.cli import printers, resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.client.requests import PatchType

TYPES = {"strategic": PatchType.STRATEGIC, "merge": PatchType.MERGE, "json": PatchType.JSON}
FORMS = ("", "name", "yaml", "json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="+", metavar="KIND NAME")
    parser.add_argument("-p", "--patch", default="", help="the patch, as JSON or YAML")
    parser.add_argument("--patch-file", default="", metavar="FILE", help="a file that holds the patch")
    parser.add_argument("--type", default="strategic", choices=tuple(TYPES))
    parser.add_argument("--subresource", default="", choices=("", "status", "scale", "resize"))
    parser.add_argument("--dry-run", default="none", choices=("none", "server"), help="server: check, change nothing")
    parser.add_argument("-o", "--output", default="", choices=FORMS, help="print the object as it is afterwards")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Patch each object named."""
    text = Path(given.patch_file).read_text() if given.patch_file else given.patch
    if not text:
        raise ValueError("must specify --patch or --patch-file containing the contents of the patch")
    try:
        patch = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"unable to parse {text!r}: {error}") from error
    return connect(given, lambda client, namespace: _patch(client, namespace, given, patch))


async def _patch(client: Client, namespace: str, given: argparse.Namespace, patch: Any) -> int:
    options = {"dryRun": "All"} if given.dry_run == "server" else {}
    for wanted in resources.parse(await discover(client), given.words):
        kind = wanted.kind
        for name in wanted.names:
            before = await client.get(kind, name, namespace if kind.namespaced else "")
            after = await client.patch(
                kind,
                meta.key_of(before),
                patch,
                type=TYPES[given.type],
                subresource=given.subresource,
                options=options,
            )
            changed = meta.revision(after) != meta.revision(before) or bool(options)
            if given.output in ("yaml", "json"):
                print(printers.whole([after], given.output, single=True))
            elif given.output == "name":
                print(printers.identity(kind, name))
            else:
                suffix = " (server dry run)" if options else ""
                print(f"{printers.identity(kind, name)} patched{'' if changed else ' (no change)'}{suffix}")
    return 0
