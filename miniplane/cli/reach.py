"""`reach`: who can talk to whom, as a matrix; expectations for CI (`--assert`); what a change opens (`--diff`)."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from miniplane.api import meta, wellknown
from miniplane.cli import printers, reports
from miniplane.cli.reports import Case
from miniplane.cli.worlds import add_world, live, manifests, with_world
from miniplane.dataplane import offline
from miniplane.dataplane.expectations import Finding, check
from miniplane.dataplane.offline import World
from miniplane.dataplane.offline_workloads import numbered
from miniplane.dataplane.reach import ALLOW, Matrix, Reach, declared_ports

LIVE = "live"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to ask for, and how to print it."""
    parser.add_argument("--port", default="", help="a number, or the name that target pods give a port")
    parser.add_argument("--protocol", default="TCP", choices=("TCP", "UDP", "SCTP"))
    parser.add_argument("-o", "--output", default="table", choices=("table", "json", "junit", "html"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--assert", dest="expectations", type=Path, metavar="FILE", help="a YAML list of what must be so: exit 1 if not"
    )
    what.add_argument(
        "--diff",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="two directories, or `live`: what is newly open and closed; exit 1 if anything",
    )
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the answer; exit code 1 for an expectation that is not met, or a difference."""
    if given.diff:
        return _diff(given)
    if given.expectations:
        document = yaml.safe_load(given.expectations.read_text())
        return with_world(given, lambda world, space: _assert(world, space, document, given), addons=True)
    if not given.port:
        raise ValueError("say which port: --port NUMBER or --port NAME")
    return with_world(given, lambda world, _: _matrix(world, given))


def _matrix(world: World, given: argparse.Namespace) -> int:
    found = Reach(world.objects, world.network).matrix(given.port, given.protocol)
    if given.namespace:
        found = found.within(given.namespace)
    forms = {
        "table": lambda: "\n".join(reports.matrix_table(found)),
        "json": lambda: printers.as_json(found.to_json()),
        "junit": lambda: reports.junit("miniplane reach", reports.matrix_cases(found)),
        "html": lambda: reports.matrix_html(found),
    }
    print(forms[given.output]())
    return 0


def _assert(world: World, namespace: str, document: Any, given: argparse.Namespace) -> int:
    found = check(world.objects, document, network=world.network, namespace=namespace)
    failed = [finding for finding in found if not finding.is_met]
    if given.output == "json":
        print(printers.as_json([finding.to_json() for finding in found]))
    elif given.output == "junit":
        print(reports.junit("miniplane reach --assert", [_case(finding) for finding in found]))
    elif given.output == "html":
        raise ValueError("expectations print as table, json or junit")
    else:
        print("\n".join(line for finding in found for line in _told(finding)))
        print(f"\n{len(found) - len(failed)} of {len(found)} expectations are met")
    return 1 if failed else 0


def _told(finding: Finding) -> Iterator[str]:
    wish = finding.expectation
    yield f"{'✓' if finding.is_met else '✗'} {wish}{f'  ({wish.reason})' if wish.reason else ''}"
    if not finding.is_met:
        yield f"    {finding.verdict}: {_where(finding)}"


def _where(finding: Finding) -> str:
    place = f"{finding.object} {finding.field}".strip()
    return f"{place}: {finding.text}" if place else finding.text


def _case(finding: Finding) -> Case:
    wish = finding.expectation
    failure = "" if finding.is_met else f"{finding.verdict}: {_where(finding)}"
    detail = "\n".join([*([wish.reason] if wish.reason else []), *finding.lines])
    return Case(str(wish), "reach", failure, detail)


def _diff(given: argparse.Namespace) -> int:
    if given.output not in ("table", "json"):
        raise ValueError("a difference prints as table or json")
    worlds = [_world(word, given) for word in given.diff]
    ports: list[tuple[int | str, str]] = [(given.port, given.protocol)] if given.port else []
    if not ports:
        ports += sorted({pair for world in worlds for pair in declared_ports(world.objects)})
    old, new = (Reach(numbered(world.objects), world.network) for world in worlds)
    places = [{meta.name(obj) for obj in world.objects if obj["kind"] == "Namespace"} for world in worlds]
    ours = set(wellknown.SYSTEM_NAMESPACES) - {"default"} - (places[0] & places[1])
    matrices = [(old.matrix(*port), new.matrix(*port)) for port in ports]
    found: dict[str, Any] = {
        "added": _only_in(1, matrices, ours),
        "removed": _only_in(0, matrices, ours),
        "ports": [_difference(before, after) for before, after in matrices],
    }
    print(printers.as_json(found) if given.output == "json" else "\n".join(_difference_lines(found)))
    changed = found["added"] or found["removed"] or any(port["opened"] or port["closed"] for port in found["ports"])
    return 1 if changed else 0


def _only_in(side: int, matrices: Sequence[tuple[Matrix, Matrix]], ours: set[str]) -> list[str]:
    """The pods that only one side has, those of a system namespace apart that the other side says nothing of."""
    pods = {pod for pair in matrices for pod in set(pair[side].pods) - set(pair[1 - side].pods)}
    return sorted(pod for pod in pods if pod.partition("/")[0] not in ours)


def _world(word: str, given: argparse.Namespace) -> World:
    return live(given) if word == LIVE else offline.build(manifests(Path(word)))


def _difference(before: Matrix, after: Matrix) -> dict[str, Any]:
    """What one port's pairs were and are; pairs with a pod that came or went are not counted."""
    old = {(source, target): word for source, target, word in before.pairs()}
    new = {(source, target): word for source, target, word in after.pairs()}
    both = [(pair, old[pair], new[pair]) for pair in old if pair in new]
    told = [({"from": pair[0], "to": pair[1], "was": was, "is": word}, was, word) for pair, was, word in both]
    return {
        "port": after.port,
        "protocol": after.protocol,
        "opened": [item for item, was, word in told if word == ALLOW != was],
        "closed": [item for item, was, word in told if was == ALLOW != word],
    }


def _difference_lines(found: dict[str, Any]) -> Iterator[str]:
    yield from (f"+ {pod}  (new pod)" for pod in found["added"])
    yield from (f"- {pod}  (pod is gone)" for pod in found["removed"])
    for port in found["ports"]:
        shown = f"{port['protocol']} {port['port']}"
        yield from (f"opened  {item['from']} → {item['to']}  {shown}  (was {item['was']})" for item in port["opened"])
        yield from (f"closed  {item['from']} → {item['to']}  {shown}  (now {item['is']})" for item in port["closed"])
    if not (found["added"] or found["removed"] or any(port["opened"] or port["closed"] for port in found["ports"])):
        yield "no difference in who reaches whom"
