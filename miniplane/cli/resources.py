"""What people type for kinds, names and manifests, and `api-resources`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from miniplane.api.kind import Kind, Object
from miniplane.cli.printers import aligned
from miniplane.kinds import KINDS, REGISTRY

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A kind and the names asked for; no names mean all of them."""

    kind: Kind
    names: tuple[str, ...] = ()


def kind_named(word: str) -> Kind:
    """The kind that a word means. Raises ValueError in kubectl's words."""
    if (kind := REGISTRY.find(word)) is None:
        raise ValueError(f'the server doesn\'t have a resource type "{word}"')
    return kind


def _kinds_named(word: str) -> list[Kind]:
    """`pods`, `pods,svc` or a category such as `all`."""
    found: list[Kind] = []
    for part in word.split(","):
        members = [kind for kind in KINDS if part in kind.categories]
        found += members or [kind_named(part)]
    return found


def parse(words: Sequence[str]) -> list[Wanted]:
    """`pods`, `pods,svc`, `pod web db` or `pod/web svc/db`. Raises ValueError."""
    if not words:
        raise ValueError("you must specify the type of resource, such as pods or services")
    if any("/" in word for word in words):
        if bad := [word for word in words if word.count("/") != 1]:
            raise ValueError(f"there is no need to specify a resource type as a separate argument: {bad[0]}")
        pairs = [word.split("/") for word in words]
        return [Wanted(kind_named(kind), (name,)) for kind, name in pairs]
    return [Wanted(kind, tuple(words[1:])) for kind in _kinds_named(words[0])]


def one(words: Sequence[str]) -> tuple[Kind, str]:
    """`kind name` or `kind/name`, exactly one. Raises ValueError."""
    wanted = parse(words)
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


def kind_of(obj: Object) -> Kind:
    """The kind of an object. Raises ValueError in kubectl's words."""
    if (kind := REGISTRY.by_kind(obj["apiVersion"], obj["kind"])) is None:
        raise ValueError(
            f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"; see miniplane api-resources'
        )
    return kind


def arguments(parser: argparse.ArgumentParser) -> None:
    """`api-resources` takes no arguments."""


def run(_arguments: argparse.Namespace) -> int:
    """Print the kinds."""
    rows = [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    rows += [
        [kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.kind]
        for kind in KINDS
    ]
    print("\n".join(aligned(rows)))
    return 0
