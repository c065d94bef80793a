"""`wait`: until a condition holds, a field has a value, an object is there or it is gone."""

import argparse
import contextlib
import re
from collections.abc import AsyncIterator, Callable

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.cli import deadlines, printers, resources, targets
from miniplane.cli.apply import placed
from miniplane.cli.failures import Failures, OneFailed
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.client.watch import Apply, Delete, InitApply, InitDone

A_WEEK_S = 7 * 24 * 3600.0
"""What a negative time limit means."""
_PATH = re.compile(r"\{?((?:\.[\w-]+)+)\}?")

Met = Callable[[Object | None], bool]
"""Whether an object, None if it is not there, is as it is waited for."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="*", metavar="KIND NAME")
    what = "delete, create, condition=Name[=value] or jsonpath='{.path}'[=value]"
    parser.add_argument("--for", dest="until", default="", metavar="WHAT", help=what)
    parser.add_argument("--timeout", type=deadlines.seconds, default=30.0, help="0: look once; negative: a week")
    targets.add_selection(parser)
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Wait for every object that was named."""
    met = criterion(given.until)
    return connect(given, lambda client, namespace: _wait(client, namespace, given, met))


def criterion(text: str) -> Met:
    """What `--for` says. Raises ValueError."""
    what, equals, rest = text.partition("=")
    if text.lower() == "delete":
        return lambda obj: obj is None
    if text.lower() == "create":
        return lambda obj: obj is not None
    if what == "condition" and rest:
        name, _, value = rest.partition("=")
        return lambda obj: obj is not None and _has_condition(obj, name, value or "true")
    if what == "jsonpath" and rest:
        path, equals, value = rest.partition("=")
        if (match := _PATH.fullmatch(path)) is None:
            raise ValueError(f"{path}: only paths such as {{.status.phase}} are understood here; use kubectl wait")
        return lambda obj: obj is not None and _has_value(obj, match[1], value if equals else None)
    raise ValueError(f'unrecognized condition: "{text}"')


def _has_condition(obj: Object, name: str, value: str) -> bool:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type", "").lower() == name.lower():
            is_of_now = int(condition.get("observedGeneration", meta.generation(obj))) >= meta.generation(obj)
            return is_of_now and str(condition.get("status")).lower() == value.lower()
    return False


def _has_value(obj: Object, path: str, value: str | None) -> bool:
    found = meta.get_path(obj, path)
    if value is None:
        return found is not None
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return found is not None and text == value


async def _wait(client: Client, namespace: str, given: argparse.Namespace, met: Met) -> int:
    failures, found, until = Failures(), 0, given.until.lower()
    limit_s = A_WEEK_S if given.timeout < 0 else given.timeout
    deadline_s = client.clock.monotonic() + limit_s
    async for kind, key in _keys(client, namespace, given):
        found += 1
        left_s = max(0.0, deadline_s - client.clock.monotonic())
        with failures:
            if await _until(client, kind, key, met, left_s, may_be_absent=until in ("create", "delete")):
                print(f"{printers.identity(kind, key.name)} condition met", flush=True)
    if not found and until != "delete":
        raise ValueError("no matching resources found")
    return failures.code


async def _keys(client: Client, namespace: str, given: argparse.Namespace) -> AsyncIterator[tuple[Kind, Key]]:
    """The objects that are meant, those that are named whether they are there or not."""
    known = await discover(client)
    if given.filename:
        for wanted in resources.load(given.filename):
            kind, obj = placed(known, wanted, namespace)
            yield kind, meta.key_of(obj)
        return
    for chosen in resources.parse(known, given.words):
        where = namespace if chosen.kind.namespaced else ""
        for name in chosen.names:
            yield chosen.kind, Key(where, name)
        if not chosen.names:
            if not (given.selector or given.field_selector or given.all or given.all_namespaces):
                raise ValueError("resource(s) were provided, but no name was specified")
            everywhere = "" if given.all_namespaces else where
            page = await client.list(chosen.kind, everywhere, labels=given.selector, fields=given.field_selector)
            for item in page.items:
                yield chosen.kind, meta.key_of(item)


async def _until(client: Client, kind: Kind, key: Key, met: Met, left_s: float, *, may_be_absent: bool) -> bool:
    """Whether it came to be so; False where it was gone before we looked. Raises OneFailed when the time is over."""
    plural = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
    over = f"timed out waiting for the condition on {plural}/{key.name}"
    if not may_be_absent:
        await client.get(kind, key.name, key.namespace)
    async with deadlines.within(left_s or None, over):
        events = client.watch(kind, key.namespace, fields=f"metadata.name={key.name}")
        async with contextlib.aclosing(events):
            now: Object | None = None
            async for event in events:
                if isinstance(event, InitApply | Apply):
                    now = event.obj
                elif isinstance(event, Delete):
                    now = None
                    if met(None):
                        return True
                elif isinstance(event, InitDone) and now is None and met(None):
                    return False
                if now is not None and met(now):
                    return True
                if isinstance(event, InitDone) and not left_s:
                    raise OneFailed(over)
    raise OneFailed(over)
