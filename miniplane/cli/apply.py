"""`apply` and `create`: objects of manifests, in the order in which they stand.

`apply` merges three ways, as kubectl's client-side apply does: what the last applied manifest had and this one has not
goes, what others set stays. A list that differs is replaced as a whole.
"""

import argparse
import json
from dataclasses import replace
from typing import Any

from miniplane.api import meta, wellknown
from miniplane.api.kind import Kind, Object, Registry
from miniplane.cli import printers, resources
from miniplane.cli.failures import Failures
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover, requests
from miniplane.client.requests import PatchType
from miniplane.errors import NotFound
from miniplane.kinds import REGISTRY

DRY = {"none": "", "server": "All"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("-f", "--filename", action="append", default=[], help="a manifest, a folder of them, or -")
    parser.add_argument("--dry-run", default="none", choices=tuple(DRY), help="server: check, change nothing")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Do it, printing a line for each object."""
    if not given.filename:
        raise ValueError("must specify one of -f")
    work = {"apply": _apply, "create": _create}[given.command]
    return connect(given, lambda client, namespace: work(client, namespace, given))


def placed(known: Registry, obj: Object, namespace: str) -> tuple[Kind, Object]:
    """An object of a manifest with its kind, in the namespace that the command means if it names none."""
    kind = resources.kind_of(known, obj)
    if kind.namespaced and not meta.namespace(obj):
        obj = {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}}
    return kind, obj


def _say(kind: Kind, name: str, what: str, given: argparse.Namespace) -> None:
    suffix = " (server dry run)" if getattr(given, "dry_run", "none") == "server" else ""
    print(f"{printers.identity(kind, name)} {what}{suffix}", flush=True)


async def _create(client: Client, namespace: str, given: argparse.Namespace) -> int:
    failures = Failures()
    objects, known = resources.load(given.filename), await discover(client)
    for obj in objects:
        with failures:
            kind, wanted = placed(known, obj, namespace)
            made = await _made(client, kind, wanted, dry_run=given.dry_run == "server")
            _say(kind, meta.name(made), "created", given)
    return failures.code


async def _apply(client: Client, namespace: str, given: argparse.Namespace) -> int:
    failures = Failures()
    objects, known = resources.load(given.filename), await discover(client)
    for obj in objects:
        with failures:
            kind, wanted = placed(known, obj, namespace)
            what = await apply_one(client, kind, wanted, dry_run=given.dry_run == "server")
            _say(kind, meta.name(wanted), what, given)
    return failures.code


async def apply_one(client: Client, kind: Kind, wanted: Object, *, dry_run: bool = False) -> str:
    """Apply one object; gives `created`, `configured` or `unchanged`."""
    annotated = _annotated(wanted)
    try:
        live = await client.get(kind, meta.name(wanted), meta.namespace(wanted))
    except NotFound:
        await _made(client, kind, annotated, dry_run=dry_run)
        return "created"
    text = meta.annotations(live).get(wellknown.LAST_APPLIED) or "{}"
    last = json.loads(text)
    if _says_the_same(last, wanted):
        annotated["metadata"]["annotations"][wellknown.LAST_APPLIED] = text
    patch = three_way(last, annotated, live)
    if not patch:
        return "unchanged"
    await client.patch(kind, meta.key_of(live), patch, type=PatchType.MERGE, options=_options(dry_run=dry_run))
    return "configured"


async def _made(client: Client, kind: Kind, wanted: Object, *, dry_run: bool) -> Object:
    return await client.send_json(replace(requests.create(kind, wanted), query=_options(dry_run=dry_run)))


def _options(*, dry_run: bool) -> dict[str, str]:
    """A manifest is refused for a field that its kind does not have: most are slips of the pen."""
    return {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


def _says_the_same(last: Object, wanted: Object) -> bool:
    """Whether a manifest is the one applied last: kubectl writes an empty map of annotations into its own."""
    metadata = dict(last.get("metadata") or {})
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    return {**last, "metadata": metadata} == wanted


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


async def apply_all(client: Client, objects: list[Object], namespace: str = "default") -> None:
    """Apply objects of built-in kinds one after the other."""
    for obj in objects:
        kind, wanted = placed(REGISTRY, obj, namespace)
        await apply_one(client, kind, wanted)
