"""`taint`: put taints on nodes, `key=value:Effect`, and take them off, `key-` or `key:Effect-`."""

import argparse
from typing import NamedTuple

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.cli import printers
from miniplane.cli.failures import Failures, OneFailed
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.kinds import NODE

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="+", metavar="node NAME KEY=VALUE:EFFECT | KEY[:EFFECT]-")
    parser.add_argument("-l", "--selector", default="", help="the nodes that a label selector takes")
    parser.add_argument("--all", action="store_true", help="all nodes")
    parser.add_argument("--overwrite", action="store_true", help="change what is there already")
    add_connection(parser, namespace=False)


class Taint(NamedTuple):
    """One taint of the command line. An empty effect, where it goes, means every effect."""

    key: str
    value: str
    effect: str
    goes: bool

    @classmethod
    def parse(cls, word: str) -> "Taint":
        """Raises ValueError in kubectl's words."""
        goes = word.endswith("-")
        pair, colon, effect = word.removesuffix("-").partition(":")
        key, _, value = pair.partition("=")
        if effect not in (*EFFECTS, *(("",) if goes and not colon else ())):
            raise ValueError(f"invalid taint effect: {effect}, unsupported taint effect")
        return cls(key, value, effect, goes)

    def is_of(self, taint: Object) -> bool:
        """Whether a taint of a node is this one, whatever its value."""
        return taint["key"] == self.key and self.effect in ("", taint["effect"])


def run(given: argparse.Namespace) -> int:
    """Change each node named."""
    kind, *rest = given.words
    if kind not in ("node", "nodes", "no"):
        raise ValueError(f"invalid resource type {kind}, only node(s) is supported")
    names = [word for word in rest if not _is_taint(word)]
    taints = [Taint.parse(word) for word in rest if _is_taint(word)]
    if not taints:
        raise ValueError("at least one taint update is required")
    if not (names or given.selector or given.all):
        raise ValueError("one or more nodes must be specified")
    return connect(given, lambda client, _: _taint(client, names, taints, given))


def _is_taint(word: str) -> bool:
    return "=" in word or ":" in word or word.endswith("-")


async def _taint(client: Client, names: list[str], taints: list[Taint], given: argparse.Namespace) -> int:
    failures = Failures()
    names = names or [meta.name(node) for node in (await client.list(NODE, labels=given.selector)).items]
    for name in names:
        with failures:
            node = await client.get(NODE, name)
            after = changed(node["spec"].get("taints") or [], taints, name, overwrite=given.overwrite)
            patch = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": after}}
            await client.patch(NODE, meta.key_of(node), patch)
            word = "untainted" if all(taint.goes for taint in taints) else "tainted"
            print(f"{printers.identity(NODE, name)} {word}", flush=True)
    return failures.code


def changed(before: list[Object], taints: list[Taint], node: str, *, overwrite: bool) -> list[Object]:
    """A node's taints afterwards. Raises OneFailed where one is there and may not change, or is not there to go."""
    after = list(before)
    for taint in taints:
        had = [item for item in after if taint.is_of(item)]
        if taint.goes and not had:
            raise OneFailed(f'taint "{taint.key}{":" if taint.effect else ""}{taint.effect}" not found')
        if not taint.goes and had and not overwrite:
            raise OneFailed(
                f"node {node} already has {taint.key} taint(s) with same effect(s) and --overwrite is false"
            )
        after = [item for item in after if not taint.is_of(item)]
        if not taint.goes:
            made = {"key": taint.key, "value": taint.value, "effect": taint.effect}
            after.append({key: value for key, value in made.items() if value})
    return after
