"""`tables NODE`: a node's compiled rules, all or what one Service or policy makes of them, as nft text or in words.

They are compiled here from the same objects by the same code as on the node. What is in force there right now is
`kubectl get --raw /api/v1/nodes/NODE/proxy/tables`, with `?service=`, `?policy=` and `?output=` like the flags here.
"""

import argparse

from miniplane.api import meta
from miniplane.cli.worlds import add_world, with_world
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.offline import World
from miniplane.dataplane.tables import FORMS, shown


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which part, which form."""
    parser.add_argument("node", metavar="NODE", help="the node's name")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--service", metavar="[NAMESPACE/]NAME", help="only what this Service makes")
    part.add_argument(
        "--policy", metavar="[NAMESPACE/]NAME", help="only what this NetworkPolicy or cluster-wide policy makes"
    )
    parser.add_argument("-o", "--output", default="nft", choices=FORMS)
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the rules."""
    return with_world(given, lambda world, namespace: _tables(world, namespace, given))


def _tables(world: World, namespace: str, given: argparse.Namespace) -> int:
    cluster = Cluster.from_objects(world.objects, world.network)
    if meta.Key("", given.node) not in cluster.objects["Node"]:
        raise ValueError(f'nodes "{given.node}" not found')
    ruleset = cluster.machine(given.node).program.ruleset
    words = {"service": given.service or "", "policy": given.policy or ""}
    print(shown(ruleset, cluster, **words, form=given.output, namespace=namespace).rstrip())
    return 0
