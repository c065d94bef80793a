"""`delete`: objects by name, label or manifest, and by default until they are gone."""

import argparse
import contextlib
import sys
from collections.abc import AsyncIterator

from miniplane.api import meta
from miniplane.api.kind import Kind
from miniplane.api.meta import Key
from miniplane.cli import printers, resources
from miniplane.cli.apply import placed
from miniplane.cli.failures import Failures
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.client.watch import Delete, InitApply, InitDone
from miniplane.errors import NotFound

FORCE_WARNING = (
    "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. "
    "The resource may continue to run on the cluster indefinitely."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("-f", "--filename", action="append", default=[], help="a manifest, a folder of them, or -")
    parser.add_argument("words", nargs="*", metavar="KIND NAME ...")
    parser.add_argument("-l", "--selector", default="", help="delete what a label selector takes")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("--grace-period", type=int, default=None, metavar="SECONDS")
    parser.add_argument("--now", action="store_true", help="a grace period of one second")
    parser.add_argument("--force", action="store_true", help="with --grace-period=0: don't wait for the kubelet")
    parser.add_argument("--cascade", default="background", choices=("background", "foreground", "orphan"))
    parser.add_argument("--ignore-not-found", action="store_true", help="no error for what is not there")
    parser.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="until they are gone")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Do it, printing a line for each object."""
    return connect(given, lambda client, namespace: _delete(client, namespace, given))


async def _delete(client: Client, namespace: str, given: argparse.Namespace) -> int:
    grace_s = 1 if given.now else given.grace_period
    if given.force and grace_s is None:
        grace_s = 0
    if given.force and grace_s == 0:
        print(FORCE_WARNING, file=sys.stderr, flush=True)
    failures, done = Failures(), 0
    async for kind, key in _victims(client, namespace, given):
        done += 1
        with failures:
            await _delete_one(client, kind, key, given, grace_s)
    if not done:
        print("No resources found", file=sys.stderr)
    return failures.code


async def _delete_one(client: Client, kind: Kind, key: Key, given: argparse.Namespace, grace_s: int | None) -> None:
    try:
        before = await client.get(kind, key.name, key.namespace)
        await client.delete(kind, key, propagation=given.cascade.capitalize(), grace_s=grace_s)
    except NotFound:
        if given.ignore_not_found:
            return
        raise
    how = "force deleted" if given.force and grace_s == 0 else "deleted"
    print(f'{printers.identity(kind, "").rstrip("/")} "{key.name}" {how}', flush=True)
    if given.wait:
        await until_gone(client, kind, key, meta.uid(before))


async def _victims(client: Client, namespace: str, given: argparse.Namespace) -> AsyncIterator[tuple[Kind, Key]]:
    if given.filename:
        objects, known = resources.load(given.filename), await discover(client)
        for obj in reversed(objects):
            kind, wanted = placed(known, obj, namespace)
            yield kind, meta.key_of(wanted)
        return
    if not given.words:
        raise ValueError("you must provide one or more resources by argument or filename (-f)")
    for chosen in resources.parse(await discover(client), given.words):
        where = namespace if chosen.kind.namespaced else ""
        if not chosen.names and not (given.selector or given.all):
            raise ValueError("resource(s) were provided, but no name was specified")
        if chosen.names:
            for name in chosen.names:
                yield chosen.kind, Key(where, name)
        else:
            for item in (await client.list(chosen.kind, where, labels=given.selector)).items:
                yield chosen.kind, meta.key_of(item)


async def until_gone(client: Client, kind: Kind, key: Key, uid: str) -> None:
    """Return when the object of that uid is not there any more."""
    events = client.watch(kind, key.namespace, fields=f"metadata.name={key.name}")
    async with contextlib.aclosing(events):
        seen = False
        async for event in events:
            if isinstance(event, InitApply) and meta.uid(event.obj) == uid:
                seen = True
            elif (isinstance(event, InitDone) and not seen) or isinstance(event, Delete):
                return
