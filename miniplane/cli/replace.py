"""`replace`: objects as manifests have them, whole; with `--force` deleted and made anew."""

import argparse
import contextlib

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.cli import printers, resources
from miniplane.cli.apply import placed
from miniplane.cli.delete import until_gone
from miniplane.cli.failures import Failures
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.errors import NotFound


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("-f", "--filename", action="append", default=[], help="a manifest, a folder of them, or -")
    parser.add_argument("--force", action="store_true", help="delete the object and make it anew")
    parser.add_argument("--dry-run", default="none", choices=("none", "server"), help="server: check, change nothing")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Do it, printing a line for each object."""
    if not given.filename:
        raise ValueError("must specify one of -f")
    if given.force and given.dry_run != "none":
        raise ValueError("--dry-run can not be used when --force is set")
    return connect(given, lambda client, namespace: _replace(client, namespace, given))


async def _replace(client: Client, namespace: str, given: argparse.Namespace) -> int:
    failures, dry = Failures(), given.dry_run == "server"
    objects, known = resources.load(given.filename), await discover(client)
    for obj in objects:
        with failures:
            kind, wanted = placed(known, obj, namespace)
            if given.force:
                await _anew(client, kind, wanted)
            else:
                await client.update(kind, wanted, dry_run=dry)
            print(f"{printers.identity(kind, meta.name(wanted))} replaced{' (server dry run)' if dry else ''}")
    return failures.code


async def _anew(client: Client, kind: Kind, wanted: Object) -> None:
    with contextlib.suppress(NotFound):
        before = await client.get(kind, meta.name(wanted), meta.namespace(wanted))
        await client.delete(kind, meta.key_of(before), propagation="Background")
        print(f'{printers.identity(kind, "").rstrip("/")} "{meta.name(wanted)}" deleted', flush=True)
        await until_gone(client, kind, meta.key_of(before), meta.uid(before))
    metadata = {key: value for key, value in wanted["metadata"].items() if key not in ("resourceVersion", "uid")}
    await client.create(kind, {**wanted, "metadata": metadata})
