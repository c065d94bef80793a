"""`lint network`: what is wrong with a network though every object is valid, and what to do about it."""

import argparse

from miniplane.cli import printers, reports
from miniplane.cli.reports import Case
from miniplane.cli.worlds import add_world, with_world
from miniplane.dataplane.lint import Finding, lint
from miniplane.dataplane.offline import World


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument("what", choices=("network",), help="what to look at")
    parser.add_argument("--strict", action="store_true", help="exit 1 if there is anything to say")
    parser.add_argument("-o", "--output", default="text", choices=("text", "json", "junit"))
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the findings."""
    return with_world(given, lambda world, _: _lint(world, given), addons=True)


def _lint(world: World, given: argparse.Namespace) -> int:
    found = [item for item in lint(world.objects, world.network) if _is_within(item, given.namespace)]
    if given.output == "json":
        print(printers.as_json([finding.to_json() for finding in found]))
    elif given.output == "junit":
        cases = [Case(f"{item.object} {item.field}", item.check, item.text, item.advice) for item in found]
        print(reports.junit("miniplane lint network", cases))
    else:
        for finding in found:
            print(f"{finding.object} {finding.field}  [{finding.check}]\n  {finding.text}\n  → {finding.advice}")
        print(f"{len(found)} warning{'' if len(found) == 1 else 's'}")
    return 1 if found and given.strict else 0


def _is_within(finding: Finding, namespace: str) -> bool:
    """Whether it is about an object of the namespace; no namespace means all."""
    return not namespace or finding.object.partition(" ")[2].startswith(f"{namespace}/")
