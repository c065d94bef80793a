"""`rollout`: how far it is, what revisions there were, and to stop, restart or undo it."""

import argparse
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.cli import deadlines, printers, resources
from miniplane.cli.failures import Failures, OneFailed
from miniplane.cli.rolling import PROGRESS
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.client.requests import PatchType
from miniplane.client.watch import Apply, Delete, InitApply
from miniplane.kinds import CONTROLLER_REVISION, DEPLOYMENT, REPLICA_SET

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
HASH = "pod-template-hash"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("action", choices=tuple(ACTIONS))
    parser.add_argument("words", nargs="+", metavar="KIND NAME")
    parser.add_argument("--to-revision", type=int, default=0, metavar="N", help="undo: to this one, 0 for the last")
    parser.add_argument("--revision", type=int, default=0, metavar="N", help="history: the details of one")
    parser.add_argument("--timeout", type=deadlines.seconds, default=0.0, help="status: at most so long, 0 for ever")
    parser.add_argument("-w", "--watch", action=argparse.BooleanOptionalAction, default=True, help="status: to its end")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Do it for each workload named."""
    return connect(given, lambda client, namespace: _rollout(client, namespace, given))


class Workload(NamedTuple):
    """An object that rolls out, and how messages call it."""

    kind: Kind
    obj: Object

    @property
    def said(self) -> str:
        """`deployment.apps/web`."""
        return printers.identity(self.kind, meta.name(self.obj))


async def _rollout(client: Client, namespace: str, given: argparse.Namespace) -> int:
    failures = Failures()
    for wanted in resources.parse(await discover(client), given.words):
        if wanted.kind.kind not in PROGRESS or wanted.kind.group != DEPLOYMENT.group:
            raise ValueError(f"no rollouter has been implemented for {wanted.kind.kind}")
        names = wanted.names or [meta.name(obj) for obj in (await client.list(wanted.kind, namespace)).items]
        for name in names:
            with failures:
                workload = Workload(wanted.kind, await client.get(wanted.kind, name, namespace))
                await ACTIONS[given.action](client, workload, given)
    return failures.code


async def _status(client: Client, workload: Workload, given: argparse.Namespace) -> None:
    kind, obj = workload
    progress, printed = PROGRESS[kind.kind], ""
    async with deadlines.within(given.timeout or None, "timed out waiting for the condition"):
        events = client.watch(kind, meta.namespace(obj), fields=f"metadata.name={meta.name(obj)}")
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, Delete):
                    raise OneFailed("object has been deleted")
                if not isinstance(event, InitApply | Apply):
                    continue
                line, done = progress(event.obj)
                if line != printed:
                    print(line, flush=True)
                printed = line
                if done or not given.watch:
                    return


async def _restart(client: Client, workload: Workload, _: argparse.Namespace) -> None:
    if workload.obj["spec"].get("paused"):
        raise OneFailed("can't restart paused deployment (run rollout resume first)")
    annotations = {RESTARTED_AT: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    await client.patch(workload.kind, meta.key_of(workload.obj), patch)
    print(f"{workload.said} restarted")


async def _pause(client: Client, workload: Workload, given: argparse.Namespace) -> None:
    if workload.kind != DEPLOYMENT:
        raise OneFailed(f"{workload.said}: only deployments can be paused and resumed")
    pausing = given.action == "pause"
    if bool(workload.obj["spec"].get("paused")) is pausing:
        state = "already paused" if pausing else "not paused"
        raise OneFailed(f'deployments.apps "{meta.name(workload.obj)}" is {state}')
    await client.patch(workload.kind, meta.key_of(workload.obj), {"spec": {"paused": pausing or None}})
    print(f"{workload.said} {'paused' if pausing else 'resumed'}")


async def _revisions(client: Client, workload: Workload) -> dict[int, Object]:
    """The objects that hold the revisions, by number, the oldest first."""
    kind = REPLICA_SET if workload.kind == DEPLOYMENT else CONTROLLER_REVISION
    items = (await client.list(kind, meta.namespace(workload.obj))).items
    owned = [item for item in items if meta.is_controlled_by(item, workload.obj)]
    numbered = {int(item.get("revision") or meta.annotations(item).get(REVISION) or 0): item for item in owned}
    return dict(sorted((number, item) for number, item in numbered.items() if number))


def _template(revision: Object) -> Object:
    """The pod template of a revision, without the label that a Deployment's controller gave it."""
    held = revision["spec"] if "spec" in revision else revision["data"]["spec"]
    template: Object = {key: value for key, value in held["template"].items() if key != "$patch"}
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": metadata}


async def _history(client: Client, workload: Workload, given: argparse.Namespace) -> None:
    found = await _revisions(client, workload)
    if given.revision:
        if given.revision not in found:
            raise OneFailed(f"unable to find the specified revision {given.revision}")
        print(f"{workload.said} with revision #{given.revision}")
        print(printers.as_yaml({"Pod Template": _template(found[given.revision])}))
        return
    print(f"{workload.said} ")
    if not found:
        print("No rollout history found.")
        return
    print(f"{'REVISION':<10}CHANGE-CAUSE")
    for number, item in found.items():
        print(f"{number:<10}{meta.annotations(item).get(CHANGE_CAUSE) or '<none>'}")
    print()


def _chosen(found: dict[int, Object], wanted: int, workload: Workload) -> int:
    """The revision to go back to: the one wanted, else the last but one. Raises OneFailed."""
    if wanted:
        if wanted not in found:
            raise OneFailed(f"unable to find specified revision {wanted} in history")
        return wanted
    if len(found) < len(("the present", "the one before")):
        raise OneFailed(f'no rollout history found for {workload.kind.singular} "{meta.name(workload.obj)}"')
    return sorted(found)[-2]


async def _undo(client: Client, workload: Workload, given: argparse.Namespace) -> None:
    if workload.obj["spec"].get("paused"):
        raise OneFailed("you cannot rollback a paused deployment; resume it first with 'rollout resume' and try again")
    found = await _revisions(client, workload)
    number = _chosen(found, given.to_revision, workload)
    template = _template(found[number])
    if template == workload.obj["spec"]["template"]:
        print(f"{workload.said} skipped rollback (current template already matches revision {number})")
        return
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    await client.patch(workload.kind, meta.key_of(workload.obj), patch, type=PatchType.JSON)
    print(f"{workload.said} rolled back")


ACTIONS: dict[str, Callable[[Client, Workload, argparse.Namespace], Awaitable[None]]] = {
    "status": _status,
    "history": _history,
    "undo": _undo,
    "restart": _restart,
    "pause": _pause,
    "resume": _pause,
}
