"""`describe`: an object in words, its spec and status as an indented outline, and the events about it."""

import argparse
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.table import age
from miniplane.cli import printers, resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.errors import NotFound
from miniplane.kinds import EVENT

SECRET = "Secret"  # noqa: S105  # the name of a kind
SKIPPED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration",)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="+", metavar="KIND [NAME ...]")
    parser.add_argument("-l", "--selector", default="", help="a label selector")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Describe every object that was named."""
    return connect(given, lambda client, namespace: _describe(client, namespace, given))


async def _describe(client: Client, namespace: str, given: argparse.Namespace) -> int:
    texts: list[str] = []
    for wanted in resources.parse(await discover(client), given.words):
        where = namespace if wanted.kind.namespaced else ""
        objects = await _find(client, wanted, where, given.selector)
        texts += [await describe(client, wanted.kind, obj) for obj in objects]
    print("\n\n\n".join(texts))
    return 0


async def _find(client: Client, wanted: resources.Wanted, where: str, selector: str) -> list[Object]:
    """The objects named; a name that is none stands for all that begin with it, as in kubectl."""
    if not wanted.names:
        return (await client.list(wanted.kind, where, labels=selector)).items
    found: list[Object] = []
    for name in wanted.names:
        try:
            found.append(await client.get(wanted.kind, name, where))
        except NotFound:
            items = (await client.list(wanted.kind, where)).items
            begun = [item for item in items if meta.name(item).startswith(name)]
            if not begun:
                raise
            found += begun
    return found


async def describe(client: Client, kind: Kind, obj: Object) -> str:
    """The whole text about one object."""
    lines = [f"{'Name:':<18}{meta.name(obj)}"]
    if kind.namespaced:
        lines.append(f"{'Namespace:':<18}{meta.namespace(obj)}")
    lines += _mapping("Labels:", meta.labels(obj))
    shown = {key: value for key, value in meta.annotations(obj).items() if key not in SKIPPED_ANNOTATIONS}
    lines += _mapping("Annotations:", shown)
    if (owner := meta.controller_of(obj)) is not None:
        lines.append(f"{'Controlled By:':<18}{owner['kind']}/{owner['name']}")
    for name, value in obj.items():
        if name not in ("apiVersion", "kind", "metadata"):
            lines += _outline(name, _hidden(value) if kind.kind == SECRET and name == "data" else value, 0)
    lines += await _events(client, obj)
    return "\n".join(lines)


def _hidden(data: dict[str, str]) -> dict[str, str]:
    return {key: f"{len(value) * 3 // 4} bytes" for key, value in data.items()}


def _mapping(title: str, mapping: Any) -> list[str]:
    if not mapping:
        return [f"{title:<18}<none>"]
    pairs = [f"{key}={value}" for key, value in sorted(mapping.items())]
    return [f"{title:<18}{pairs[0]}", *(f"{'':<18}{pair}" for pair in pairs[1:])]


def _title(name: str) -> str:
    """`clusterIP` → `Cluster IP`."""
    if not name.isidentifier():
        return name
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return spaced[0].upper() + spaced[1:]


def _outline(name: str, value: Any, depth: int) -> Iterator[str]:
    indent, title = "  " * depth, f"{_title(name)}:"
    if isinstance(value, dict) and value:
        yield f"{indent}{title}"
        for key, inner in value.items():
            yield from _outline(key, inner, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield f"{indent}{title}"
        for item in value:
            yield from _item(item, depth + 1)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield f"{indent}{title:<{max(18 - 2 * depth, len(title) + 1)}}{'<none>' if text in (None, '', {}) else text}"


def _item(item: Any, depth: int) -> Iterator[str]:
    inner = [line for key, value in item.items() for line in _outline(key, value, depth + 1)]
    mark = "  " * depth + "- "
    yield mark + inner[0].lstrip() if inner else mark
    yield from inner[1:]


async def _events(client: Client, obj: Object) -> list[str]:
    fields = f"involvedObject.name={meta.name(obj)},involvedObject.uid={meta.uid(obj)}"
    events = (await client.list(EVENT, meta.namespace(obj) or "default", fields=fields)).items
    if not events:
        return [f"{'Events:':<18}<none>"]
    now = datetime.now(UTC)
    rows = [["Type", "Reason", "Age", "From", "Message"]]
    rows += [
        [
            event.get("type", ""),
            event.get("reason", ""),
            _when(event, now),
            (event.get("source") or {}).get("component") or event.get("reportingComponent") or "",
            event.get("message", ""),
        ]
        for event in sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    ]
    return ["Events:", *(f"  {line}" for line in printers.aligned(rows))]


def _when(event: Object, now: datetime) -> str:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    text = age(meta.parse_timestamp(stamp), now)
    count = event.get("count") or 1
    return f"{text} (x{count})" if count > 1 else text
