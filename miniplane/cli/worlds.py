"""Where a command gets its cluster from: a running one, or a directory of manifests (`--from-dir`)."""

import argparse
import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.cli import resources
from miniplane.cli.flags import add_connection
from miniplane.dataplane import offline
from miniplane.dataplane.offline import World
from miniplane.kinds import REGISTRY

LIVE = "miniplane.cli.liveworld"
"""Imported only for a running cluster: manifests need no HTTP client."""


def add_world(parser: argparse.ArgumentParser) -> None:
    """`--from-dir`, and the flags that say where a running cluster is."""
    parser.add_argument("--from-dir", type=Path, metavar="DIR", help="manifests to read instead of a running cluster")
    add_connection(parser)


def with_world(given: argparse.Namespace, work: Callable[[World, str], int], *, addons: bool = False) -> int:
    """Run `work(world, namespace)` on the cluster that the flags mean.

    `addons` puts the DNS and the ingress proxy into a world from manifests, which every running cluster has.
    """
    if given.from_dir:
        return work(offline.build(manifests(given.from_dir), addons=addons), given.namespace or "default")
    world, namespace = importlib.import_module(LIVE).read(given)
    return work(world, namespace)


def live(given: argparse.Namespace) -> World:
    """The running cluster."""
    world: World = importlib.import_module(LIVE).read(given)[0]
    return world


def manifests(folder: Path) -> list[Object]:
    """The objects of a directory and all below it (hidden folders apart), with the server's defaults.

    Raises ValueError for a file that is no manifest, and for an object that is stated twice.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no directory")
    files = sorted(
        str(path)
        for path in folder.rglob("*")
        if path.suffix in resources.SUFFIXES and not any(part[0] == "." for part in path.relative_to(folder).parts)
    )
    if not files:
        raise ValueError(f"no manifests in {folder}: files that end in {', '.join(resources.SUFFIXES)}")
    objects = resources.load(files)
    for obj in objects:
        kind = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
        if kind is not None:
            kind.defaults(obj)
    _refuse_twice(objects)
    return objects


def _refuse_twice(objects: Iterable[Object]) -> None:
    names = Counter(
        f"{obj['kind']} {meta.namespace(obj) or 'default'}/{meta.name(obj)}" for obj in objects if meta.name(obj)
    )
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"stated more than once: {', '.join(twice)}")
