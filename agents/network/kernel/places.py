"""Where the namespaces of a node are, for `miniplane shell`: a file per node."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from .namespaces import enter, join_user_of


def places_file(data_dir: Path, node: str) -> Path:
    """Where a node's agent writes which of its descriptors are which namespaces."""
    return data_dir / f"{node}.namespaces.json"


def publish(data_dir: Path, node: str, places: Mapping[str, int]) -> None:
    """Say where the namespaces are: `{pod uid: descriptor}`, the node's own under the empty name."""
    path = places_file(data_dir, node)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"pid": os.getpid(), "places": dict(places)}))
    new.replace(path)


def enter_place(data_dir: Path, node: str, uid: str = "") -> None:
    """Move this process, which must have one thread, into the network of a pod, or of the node itself.

    Raises LookupError where there is none, OSError where the kernel refuses.
    """
    try:
        told = json.loads(places_file(data_dir, node).read_text())
    except FileNotFoundError:
        raise LookupError(
            f"{node} has no network in the kernel: start the cluster with `miniplane up --dataplane kernel`"
        ) from None
    if uid not in told["places"]:
        raise LookupError(f"no network of that pod on {node}")
    join_user_of(told["pid"])
    enter(Path(f"/proc/{told['pid']}/fd/{told['places'][uid]}"))
