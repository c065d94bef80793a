"""`apply`, `create` and `delete`: objects of manifests, in the order in which they stand.

`apply` merges three ways, as kubectl's client-side apply does: what the last applied manifest had and this one has not
goes, what others set stays. A list that differs is replaced as a whole.
"""

import argparse
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from miniplane.api import meta, wellknown
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.cli import printers, resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.client.requests import PatchType
from miniplane.client.watch import Delete, InitApply, InitDone
from miniplane.errors import NotFound

DRY = {"none": "", "server": "All"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    command = parser.get_default("command")
    parser.add_argument("-f", "--filename", action="append", default=[], help="a manifest, a folder of them, or -")
    if command == "delete":
        parser.add_argument("words", nargs="*", metavar="KIND NAME ...")
        parser.add_argument("-l", "--selector", default="", help="delete what a label selector takes")
        parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
        parser.add_argument("--grace-period", type=int, default=None, metavar="SECONDS")
        parser.add_argument("--now", action="store_true", help="a grace period of one second")
        parser.add_argument("--force", action="store_true", help="with --grace-period=0: don't wait for the kubelet")
        parser.add_argument("--cascade", default="background", choices=("background", "foreground", "orphan"))
        parser.add_argument("--ignore-not-found", action="store_true", help="no error for what is not there")
        parser.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="until they are gone")
    else:
        parser.add_argument("--dry-run", default="none", choices=tuple(DRY), help="server: check, change nothing")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Do it, printing a line for each object."""
    if given.command != "delete" and not given.filename:
        raise ValueError("must specify one of -f")
    work = {"apply": _apply, "create": _create, "delete": _delete}[given.command]
    return connect(given, lambda client, namespace: work(client, namespace, given))


def placed(obj: Object, namespace: str) -> tuple[Kind, Object]:
    """An object of a manifest with its kind, in the namespace that the command means if it names none."""
    kind = resources.kind_of(obj)
    if kind.namespaced and not meta.namespace(obj):
        obj = {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}}
    return kind, obj


def _say(kind: Kind, name: str, what: str, given: argparse.Namespace) -> None:
    suffix = " (server dry run)" if getattr(given, "dry_run", "none") == "server" else ""
    print(f"{printers.identity(kind, name)} {what}{suffix}", flush=True)


async def _create(client: Client, namespace: str, given: argparse.Namespace) -> int:
    for obj in resources.load(given.filename):
        kind, wanted = placed(obj, namespace)
        made = await client.create(kind, wanted, dry_run=given.dry_run == "server")
        _say(kind, meta.name(made), "created", given)
    return 0


async def _apply(client: Client, namespace: str, given: argparse.Namespace) -> int:
    for obj in resources.load(given.filename):
        kind, wanted = placed(obj, namespace)
        _say(kind, meta.name(wanted), await apply_one(client, kind, wanted, dry_run=given.dry_run == "server"), given)
    return 0


async def apply_one(client: Client, kind: Kind, wanted: Object, *, dry_run: bool = False) -> str:
    """Apply one object; gives `created`, `configured` or `unchanged`."""
    annotated = _annotated(wanted)
    try:
        live = await client.get(kind, meta.name(wanted), meta.namespace(wanted))
    except NotFound:
        await client.create(kind, annotated, dry_run=dry_run)
        return "created"
    last = json.loads(meta.annotations(live).get(wellknown.LAST_APPLIED) or "{}")
    patch = three_way(last, annotated, live)
    if not patch:
        return "unchanged"
    options = {"dryRun": "All"} if dry_run else {}
    await client.patch(kind, meta.key_of(live), patch, type=PatchType.MERGE, options=options)
    return "configured"


def _annotated(wanted: Object) -> Object:
    text = json.dumps(wanted, separators=(",", ":"), sort_keys=True) + "\n"
    metadata = wanted["metadata"]
    annotations = {**(metadata.get("annotations") or {}), wellknown.LAST_APPLIED: text}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def three_way(last: Any, wanted: Object, live: Object) -> Object:
    """The merge patch that sets what `wanted` has otherwise than `live` and deletes what only `last` still had."""
    patch: Object = {}
    for name, value in wanted.items():
        now = live.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            before = last.get(name) if isinstance(last, dict) else None
            if inner := three_way(before or {}, value, now):
                patch[name] = inner
        elif not _covers(now, value):
            patch[name] = value
    gone = [name for name in (last if isinstance(last, dict) else {}) if name not in wanted and name in live]
    return patch | dict.fromkeys(gone)


def _covers(now: Any, wanted: Any) -> bool:
    """Whether the server's value says all that the manifest does: it may have more through defaults."""
    if isinstance(wanted, dict) and isinstance(now, dict):
        return all(name in now and _covers(now[name], value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(now, list):
        return len(wanted) == len(now) and all(_covers(a, b) for a, b in zip(now, wanted, strict=True))
    return bool(now == wanted)


async def _delete(client: Client, namespace: str, given: argparse.Namespace) -> int:
    grace_s = 1 if given.now else given.grace_period
    if given.force and grace_s is None:
        grace_s = 0
    async for kind, key in _victims(client, namespace, given):
        try:
            before = await client.get(kind, key.name, key.namespace)
            await client.delete(kind, key, propagation=given.cascade.capitalize(), grace_s=grace_s)
        except NotFound:
            if given.ignore_not_found:
                continue
            raise
        print(f'{printers.identity(kind, "").rstrip("/")} "{key.name}" deleted', flush=True)
        if given.wait:
            await until_gone(client, kind, key, meta.uid(before))
    return 0


async def _victims(client: Client, namespace: str, given: argparse.Namespace) -> AsyncIterator[tuple[Kind, Key]]:
    if given.filename:
        for obj in reversed(resources.load(given.filename)):
            kind, wanted = placed(obj, namespace)
            yield kind, meta.key_of(wanted)
        return
    for chosen in resources.parse(given.words):
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


async def apply_all(client: Client, objects: list[Object], namespace: str = "default") -> None:
    """Apply objects one after the other."""
    for obj in objects:
        kind, wanted = placed(obj, namespace)
        await apply_one(client, kind, wanted)
