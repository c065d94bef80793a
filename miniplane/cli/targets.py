"""The objects that a command means: by kind and name, by selector, all of a kind, or from manifests."""

import argparse
from collections.abc import AsyncIterator

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.cli import resources
from miniplane.cli.apply import placed
from miniplane.cli.failures import Failures
from miniplane.client import Client, discover


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The flags that choose objects, beside `words`."""
    parser.add_argument("-f", "--filename", action="append", default=[], help="the objects named in manifests")
    parser.add_argument("-l", "--selector", default="", help="what a label selector takes")
    parser.add_argument("--field-selector", default="", help="what a field selector takes")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="objects of all namespaces")


async def find(
    client: Client, namespace: str, given: argparse.Namespace, failures: Failures
) -> AsyncIterator[tuple[Kind, Object]]:
    """The objects, read from the server; one that is not there is a failure told."""
    known = await discover(client)
    if given.filename:
        for wanted in resources.load(given.filename):
            with failures:
                kind, obj = placed(known, wanted, namespace)
                yield kind, await client.get(kind, meta.name(obj), meta.namespace(obj))
        return
    everywhere = "" if given.all_namespaces else namespace
    chosen = given.selector or given.field_selector or given.all or given.all_namespaces
    for wanted_kind in resources.parse(known, given.words):
        kind = wanted_kind.kind
        where = everywhere if kind.namespaced else ""
        if wanted_kind.names:
            for name in wanted_kind.names:
                with failures:
                    yield kind, await client.get(kind, name, where)
        elif chosen:
            page = await client.list(kind, where, labels=given.selector, fields=given.field_selector)
            for item in page.items:
                yield kind, item
        else:
            raise ValueError("resource(s) were provided, but no name was specified")
