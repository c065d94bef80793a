"""`label` and `annotate`: set `key=value`, remove `key-`, and keep what is there unless `--overwrite` is given."""

import argparse
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.cli import printers, targets
from miniplane.cli.failures import Failures, OneFailed
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client

FIELDS = {"label": "labels", "annotate": "annotations"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("words", nargs="+", metavar="KIND NAME KEY=VALUE | KEY-")
    parser.add_argument("--overwrite", action="store_true", help="change what is there already")
    parser.add_argument("--resource-version", default="", help="only of this version of the object")
    targets.add_selection(parser)
    add_connection(parser)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be set and what is to go."""

    wanted: dict[str, str]
    removed: tuple[str, ...]

    @classmethod
    def parse(cls, words: list[str]) -> "Change":
        """`a=b` sets, `a-` removes. Raises ValueError where a key has both."""
        wanted = dict(word.split("=", 1) for word in words if "=" in word)
        removed = tuple(word[:-1] for word in words if "=" not in word)
        if both := [key for key in removed if key in wanted]:
            raise ValueError(f"can not both modify and remove the same key: {both[0]}")
        return cls(wanted, removed)

    def patch(self, obj: Object, field: str, *, overwrite: bool) -> dict[str, str | None]:
        """What changes on an object. Raises OneFailed where a value is there and may not be changed."""
        now = (meta.labels if field == "labels" else meta.annotations)(obj)
        if taken := [key for key, value in self.wanted.items() if not overwrite and now.get(key, value) != value]:
            raise OneFailed(f"'{taken[0]}' already has a value ({now[taken[0]]}), and --overwrite is false")
        changed: dict[str, str | None] = {key: value for key, value in self.wanted.items() if now.get(key) != value}
        return changed | {key: None for key in self.removed if key in now}

    def told(self, patch: dict[str, str | None], field: str, *, overwrite: bool) -> str:
        """The last word of kubectl's line."""
        if field == "annotations":
            return "annotated"
        if not patch:
            return "not labeled"
        return "unlabeled" if not self.wanted and not overwrite else "labeled"


def run(given: argparse.Namespace) -> int:
    """Change each object named."""
    pairs = [word for word in given.words if _is_change(word)]
    given.words = [word for word in given.words if not _is_change(word)]
    field = FIELDS[given.command]
    if not pairs:
        raise ValueError(f"at least one {field[:-1]} update is required")
    change = Change.parse(pairs)
    return connect(given, lambda client, namespace: _change(client, namespace, given, change))


def _is_change(word: str) -> bool:
    return "=" in word or word.endswith("-")


async def _change(client: Client, namespace: str, given: argparse.Namespace, change: Change) -> int:
    failures, field = Failures(), FIELDS[given.command]
    async for kind, obj in targets.find(client, namespace, given, failures):
        with failures:
            patch = change.patch(obj, field, overwrite=given.overwrite)
            await _send(client, kind, obj, {field: patch}, given.resource_version)
            print(
                f"{printers.identity(kind, meta.name(obj))} {change.told(patch, field, overwrite=given.overwrite)}",
                flush=True,
            )
    return failures.code


async def _send(client: Client, kind: Kind, obj: Object, metadata: Object, version: str) -> None:
    if not any(metadata.values()):
        return
    if version:
        metadata["resourceVersion"] = version
    await client.patch(kind, meta.key_of(obj), {"metadata": metadata})
