"""`get`: objects as tables that the server makes, or as YAML, JSON and names; `--raw` for any path."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import orjson

from miniplane.api.kind import Kind, Object, Registry
from miniplane.api.meta import Key
from miniplane.cli import printers, resources
from miniplane.cli.resources import Wanted
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover, requests
from miniplane.client.requests import Request, Selection
from miniplane.errors import NotFound

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="*", metavar="KIND [NAME ...]", help="pods, pods,svc, pod web, pod/web svc/db")
    parser.add_argument("-o", "--output", default="", choices=("", *printers.FORMS), help="another form than a table")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="objects of all namespaces")
    parser.add_argument("-l", "--selector", default="", help="a label selector")
    parser.add_argument("--field-selector", default="", help="a field selector")
    parser.add_argument("-f", "--filename", action="append", default=[], help="the objects named in manifests")
    parser.add_argument("-w", "--watch", action="store_true", help="go on with every change")
    parser.add_argument("--no-headers", action="store_true", help="no line of column names")
    parser.add_argument("--ignore-not-found", action="store_true", help="no error for an object that is not there")
    parser.add_argument("--raw", default="", metavar="PATH", help="print the server's answer for a path")
    add_connection(parser)


@dataclass(frozen=True, slots=True)
class _Query:
    """One kind's share of a command."""

    kind: Kind
    namespace: str
    name: str = ""
    selection: Selection = requests.EVERYTHING

    def request(self) -> Request:
        if self.name:
            return requests.get(self.kind, Key(self.namespace, self.name))
        return requests.list_(self.kind, self.selection)


def _queries(known: Registry, given: argparse.Namespace, namespace: str) -> list[_Query]:
    if given.filename:
        named = [(resources.kind_of(known, obj), obj["metadata"]) for obj in resources.load(given.filename)]
        return [
            _Query(kind, metadata.get("namespace", namespace) if kind.namespaced else "", metadata["name"])
            for kind, metadata in named
        ]
    everywhere = "" if given.all_namespaces else namespace
    made: list[_Query] = []
    for wanted in resources.parse(known, given.words):
        made += _queries_of(wanted, everywhere, given)
    return made


def _queries_of(wanted: Wanted, namespace: str, given: argparse.Namespace) -> list[_Query]:
    kind, where = wanted.kind, namespace if wanted.kind.namespaced else ""
    if wanted.names:
        if kind.namespaced and not where:
            raise ValueError("a resource cannot be retrieved by name across all namespaces")
        return [_Query(kind, where, name) for name in wanted.names]
    return [_Query(kind, where, "", Selection(where, given.selector, given.field_selector))]


def run(given: argparse.Namespace) -> int:
    """Print what was asked for."""
    if given.raw:
        return connect(given, lambda client, _: _raw(client, given.raw))
    return connect(given, lambda client, namespace: _get(client, namespace, given))


async def _raw(client: Client, path: str) -> int:
    parts = urlsplit(path)
    body = await client.request("GET", parts.path, query=dict(parse_qsl(parts.query, keep_blank_values=True)))
    print(body.decode(errors="replace"))
    return 0


async def _get(client: Client, namespace: str, given: argparse.Namespace) -> int:
    known = await discover(client)
    queries = _queries(known, given, namespace)
    if given.output in ("", "wide"):
        code = await _tables(client, queries, given)
        return await _watch(client, queries, given) if given.watch and not code else code
    objects: list[Object] = []
    for query in queries:
        answer = await _fetch(client, query, given, {})
        objects += _items(answer, query) if answer is not None else []
    if given.output == "name":
        print("\n".join(printers.identity(resources.kind_of(known, obj), obj["metadata"]["name"]) for obj in objects))
    elif objects or not any(query.name for query in queries):
        print(printers.whole(objects, given.output, single=len(queries) == 1 and bool(queries[0].name)))
    return 0


async def _fetch(client: Client, query: _Query, given: argparse.Namespace, headers: dict[str, str]) -> Object | None:
    try:
        answer: Object = orjson.loads(await client.send(query.request(), headers=headers))
    except NotFound:
        if given.ignore_not_found:
            return None
        raise
    return answer


def _items(answer: Object, query: _Query) -> list[Object]:
    if query.name:
        return [answer]
    return [
        {"apiVersion": query.kind.api_version, "kind": query.kind.kind, **item} for item in answer.get("items") or []
    ]


async def _tables(client: Client, queries: Sequence[_Query], given: argparse.Namespace) -> int:
    by_kind: dict[Kind, list[Object]] = {}
    for query in queries:
        if (table := await _fetch(client, query, given, TABLE)) is not None:
            by_kind.setdefault(query.kind, []).append(table)
    shown = {kind: tables for kind, tables in by_kind.items() if any(table.get("rows") for table in tables)}
    for number, (kind, tables) in enumerate(shown.items()):
        lines = printers.table(
            tables,
            wide=given.output == "wide",
            namespaces=given.all_namespaces and kind.namespaced,
            headers=not given.no_headers,
            prefix=printers.identity(kind, "") if len(by_kind) > 1 else "",
        )
        print(("\n" if number else "") + "\n".join(lines))
    if not shown and not given.ignore_not_found:
        where = queries[0].namespace if queries else ""
        print(f"No resources found{f' in {where} namespace' if where else ''}.", file=sys.stderr)
    return 0


async def _watch(client: Client, queries: Sequence[_Query], given: argparse.Namespace) -> int:
    """Follow one kind; each change prints its row, without headers."""
    if len(queries) != 1:
        raise ValueError("you may only specify a single resource type with -w")
    query = queries[0]
    selection = Selection(query.namespace, fields=f"metadata.name={query.name}") if query.name else query.selection
    page = await client.page(query.kind, selection)
    request = requests.watch(query.kind, selection, revision=page.revision, timeout_s=3600)
    async with client.open(request, timeout_s=None, headers=TABLE) as answer:
        async for line in answer.content:
            event = orjson.loads(line)
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                table = event["object"]
                table["columnDefinitions"] = table.get("columnDefinitions") or []
                rows = [[str(cell) for cell in row["cells"]] for row in table["rows"]]
                print("\n".join("   ".join(row) for row in rows), flush=True)
    return 0
