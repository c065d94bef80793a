"""What people type for kinds, names and manifests, and `api-resources`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from miniplane.api import meta
from miniplane.api.kind import Kind, Object, Registry
from miniplane.cli.failures import OneFailed
from miniplane.cli.printers import aligned
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A kind and the names asked for; no names mean all of them."""

    kind: Kind
    names: tuple[str, ...] = ()


def kind_named(known: Registry, word: str) -> Kind:
    """The kind that a word means. Raises ValueError in kubectl's words."""
    if (kind := known.find(word)) is None:
        raise ValueError(f'the server doesn\'t have a resource type "{word}"')
    return kind


def _kinds_named(known: Registry, word: str) -> list[Kind]:
    """`pods`, `pods,svc` or a category such as `all`."""
    found: list[Kind] = []
    for part in word.split(","):
        members = [kind for kind in preferred(known) if part in kind.categories and "list" in kind.verbs]
        found += members or [kind_named(known, part)]
    return list(dict.fromkeys(found))


def preferred(known: Registry) -> list[Kind]:
    """Each resource once, in the version that the server prefers."""
    first: dict[tuple[str, str], Kind] = {}
    for kind in known:
        first.setdefault((kind.group, kind.plural), kind)
    return list(first.values())


def parse(known: Registry, words: Sequence[str]) -> list[Wanted]:
    """`pods`, `pods,svc`, `pod web db` or `pod/web svc/db`. Raises ValueError."""
    if not words:
        raise ValueError("you must specify the type of resource, such as pods or services")
    if any("/" in word for word in words):
        if bad := [word for word in words if word.count("/") != 1]:
            raise ValueError(f"there is no need to specify a resource type as a separate argument: {bad[0]}")
        pairs = [word.split("/") for word in words]
        return [Wanted(kind_named(known, kind), (name,)) for kind, name in pairs]
    return [Wanted(kind, tuple(words[1:])) for kind in _kinds_named(known, words[0])]


def one(known: Registry, words: Sequence[str]) -> tuple[Kind, str]:
    """`kind name` or `kind/name`, exactly one. Raises ValueError."""
    wanted = parse(known, words)
    if len(wanted) != 1 or len(wanted[0].names) != 1:
        raise ValueError("exactly one object is needed, such as deployment/web")
    return wanted[0].kind, wanted[0].names[0]


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == "-":
        yield "standard input", sys.stdin.read()
        return
    file = Path(path)
    if file.is_dir():
        for child in sorted(file.iterdir()):
            if child.suffix in SUFFIXES:
                yield str(child), child.read_text()
        return
    if not file.exists():
        raise ValueError(f'the path "{path}" does not exist')
    yield path, file.read_text()


def load(paths: Sequence[str]) -> list[Object]:
    """The objects of files, folders (their manifests in order of name) and `-`; Lists are opened. Raises ValueError."""
    objects: list[Object] = []
    for path in paths:
        for source, text in _texts(path):
            try:
                documents: list[Any] = [item for item in yaml.safe_load_all(text) if item]
            except yaml.YAMLError as error:
                raise ValueError(f"error parsing {source}: {error}") from error
            for document in documents:
                if not isinstance(document, dict) or "kind" not in document or "apiVersion" not in document:
                    raise ValueError(f"{source}: every document needs apiVersion and kind")
                objects += document["items"] if document["kind"] == "List" else [document]
    if not objects:
        raise ValueError("no objects passed")
    return objects


def kind_of(known: Registry, obj: Object) -> Kind:
    """The kind of an object. Raises OneFailed in kubectl's words."""
    if (kind := known.by_kind(obj["apiVersion"], obj["kind"])) is None:
        raise OneFailed(
            f'resource mapping not found for name: "{meta.name(obj)}" namespace: "{meta.namespace(obj)}": '
            f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"\nensure CRDs are installed first'
        )
    return kind


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("--api-group", default=None, metavar="GROUP", help="only kinds of a group, '' for the core's")
    parser.add_argument("--namespaced", default="", choices=("true", "false"), help="only kinds that are so or not")
    parser.add_argument("--verbs", default="", metavar="VERB,...", help="only kinds that have all these verbs")
    parser.add_argument("--categories", default="", metavar="WORD,...", help="only kinds of all these categories")
    parser.add_argument("--no-headers", action="store_true", help="no line of column names")
    parser.add_argument("-o", "--output", default="", choices=("", "name", "wide"), help="names, or verbs as well")
    add_connection(parser, namespace=False)


def run(given: argparse.Namespace) -> int:
    """Print the kinds that the server has."""
    return connect(given, lambda client, _: _api_resources(client, given))


async def _api_resources(client: Client, given: argparse.Namespace) -> int:
    kinds = [kind for kind in preferred(await discover(client)) if _is_asked_for(kind, given)]
    kinds.sort(key=lambda kind: (kind.group, kind.plural))
    if given.output == "name":
        print("\n".join(f"{kind.plural}.{kind.group}" if kind.group else kind.plural for kind in kinds))
        return 0
    wide = given.output == "wide"
    rows = [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"] + (["VERBS", "CATEGORIES"] if wide else [])]
    for kind in kinds:
        row = [kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.kind]
        rows.append(row + ([",".join(kind.verbs), ",".join(kind.categories)] if wide else []))
    print("\n".join(aligned(rows[1:] if given.no_headers else rows)))
    return 0


def _is_asked_for(kind: Kind, given: argparse.Namespace) -> bool:
    return (
        given.api_group in (None, kind.group)
        and given.namespaced in ("", str(kind.namespaced).lower())
        and set(filter(None, given.verbs.split(","))) <= set(kind.verbs)
        and set(filter(None, given.categories.split(","))) <= set(kind.categories)
    )
