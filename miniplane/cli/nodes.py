"""`cordon`, `uncordon` and `drain`: keep new pods off a node, and move the old ones by evictions."""

import argparse
import asyncio
import sys
from typing import NamedTuple

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.cli import deadlines, printers
from miniplane.cli.delete import until_gone
from miniplane.cli.failures import Failures, OneFailed
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.errors import ApiError, NotFound, Reason
from miniplane.kinds import NODE, POD

MIRROR = "kubernetes.io/config.mirror"
AGAIN_S = 5.0
"""Before an eviction that a disruption budget refused is tried again, as upstream."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("nodes", nargs="*", metavar="NODE")
    parser.add_argument("-l", "--selector", default="", help="the nodes that a label selector takes")
    if parser.get_default("command") == "drain":
        parser.add_argument("--ignore-daemonsets", action="store_true", help="leave the pods of DaemonSets")
        parser.add_argument("--delete-emptydir-data", action="store_true", help="also pods with emptyDir volumes")
        parser.add_argument("--force", action="store_true", help="also pods that no controller would make again")
        parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="-1: the pod's own")
        parser.add_argument("--timeout", type=deadlines.seconds, default=0.0, help="at most so long, 0 for ever")
    add_connection(parser, namespace=False)


def run(given: argparse.Namespace) -> int:
    """Do it for each node named."""
    if not given.nodes and not given.selector:
        raise ValueError(f"USAGE: {given.command} NODE: at least one node or --selector is needed")
    return connect(given, lambda client, _: _each(client, given))


async def _each(client: Client, given: argparse.Namespace) -> int:
    failures = Failures()
    names = given.nodes or [meta.name(node) for node in (await client.list(NODE, labels=given.selector)).items]
    for name in names:
        with failures:
            await _mark(client, name, unschedulable=given.command != "uncordon")
            if given.command == "drain":
                await _drain(client, name, given)
    return failures.code


async def _mark(client: Client, name: str, *, unschedulable: bool) -> None:
    node = await client.get(NODE, name)
    word = "cordoned" if unschedulable else "uncordoned"
    if bool(node["spec"].get("unschedulable")) is unschedulable:
        print(f"{printers.identity(NODE, name)} already {word}", flush=True)
        return
    await client.patch(NODE, Key("", name), {"spec": {"unschedulable": unschedulable or None}})
    print(f"{printers.identity(NODE, name)} {word}", flush=True)


class Plan(NamedTuple):
    """What a drain does with a node's pods. `refused` maps what is in the way to the pods concerned."""

    evicted: list[Object]
    ignored: list[Object]
    refused: dict[str, list[str]]


def plan(pods: list[Object], given: argparse.Namespace) -> Plan:
    """Which pods go. Pods that have ended may always go; mirror pods are the node's own."""
    made = Plan([], [], {})
    for pod in pods:
        if MIRROR in meta.annotations(pod):
            continue
        if _is_daemon(pod) and given.ignore_daemonsets:
            made.ignored.append(pod)
        elif reason := _in_the_way(pod, given):
            made.refused.setdefault(reason, []).append(f"{meta.namespace(pod)}/{meta.name(pod)}")
        else:
            made.evicted.append(pod)
    return made


def _is_daemon(pod: Object) -> bool:
    return (meta.controller_of(pod) or {}).get("kind") == "DaemonSet"


def _in_the_way(pod: Object, given: argparse.Namespace) -> str:
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return ""
    if _is_daemon(pod):
        return "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
    if meta.controller_of(pod) is None and not given.force:
        return "cannot delete Pods that declare no controller (use --force to override)"
    if any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ()) and not given.delete_emptydir_data:
        return "cannot delete Pods with local storage (use --delete-emptydir-data to override)"
    return ""


async def _drain(client: Client, name: str, given: argparse.Namespace) -> None:
    pods = (await client.list(POD, fields=f"spec.nodeName={name}")).items
    todo = plan(pods, given)
    if todo.refused:
        told = ", ".join(f"{reason}: {', '.join(names)}" for reason, names in todo.refused.items())
        raise OneFailed(f'unable to drain node "{name}" due to error: {told}, continuing command...')
    if todo.ignored:
        names = ", ".join(f"{meta.namespace(pod)}/{meta.name(pod)}" for pod in todo.ignored)
        print(f"Warning: ignoring DaemonSet-managed Pods: {names}", file=sys.stderr, flush=True)
    over = f'unable to drain node "{name}" due to error: global timeout reached: {given.timeout:g}s'
    evictions = Failures()
    async with deadlines.within(given.timeout or None, over):
        await asyncio.gather(*(_evict(client, pod, given.grace_period, evictions) for pod in todo.evicted))
    if evictions.code:
        raise OneFailed(f'unable to drain node "{name}" due to error: not every pod could be evicted')
    print(f"{printers.identity(NODE, name)} drained", flush=True)


async def _evict(client: Client, pod: Object, grace_s: int, failures: Failures) -> None:
    """Ask until a disruption budget allows it, and return when the pod is gone."""
    key = meta.key_of(pod)
    print(f"evicting pod {key}", flush=True)
    with failures:
        while not await _is_accepted(client, key, grace_s):
            await client.clock.sleep(AGAIN_S)
        await until_gone(client, POD, key, meta.uid(pod))
        print(f"{printers.identity(POD, key.name)} evicted", flush=True)


async def _is_accepted(client: Client, key: Key, grace_s: int) -> bool:
    options = {"gracePeriodSeconds": grace_s} if grace_s >= 0 else {}
    metadata = {"name": key.name, "namespace": key.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
    try:
        await client.create_subresource(POD, key, "eviction", body)
    except NotFound:
        return True
    except ApiError as error:
        if error.reason != Reason.TOO_MANY_REQUESTS:
            raise
        said = f'error when evicting pods/"{key.name}" -n "{key.namespace}" (will retry after 5s): {error.message}'
        print(said, file=sys.stderr, flush=True)
        return False
    return True
