"""`tables NODE`: a node's compiled rules, all or what one Service or policy makes of them, as nft text or in words.

They are compiled here from the same objects by the same code as on the node. What is in force there right now is
`kubectl get --raw /api/v1/nodes/NODE/proxy/tables`.
"""

import argparse

from miniplane.api import meta
from miniplane.cli.worlds import add_world, with_world
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.offline import World
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.ruleset import Ruleset
from miniplane.dataplane.tables import explained, of_policy, of_service
from miniplane.dataplane.tierviews import KINDS as CLUSTER_POLICIES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which part, which form."""
    parser.add_argument("node", metavar="NODE", help="the node's name")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--service", metavar="[NAMESPACE/]NAME", help="only what this Service makes")
    part.add_argument(
        "--policy", metavar="[NAMESPACE/]NAME", help="only what this NetworkPolicy or cluster-wide policy makes"
    )
    parser.add_argument("-o", "--output", default="nft", choices=("nft", "explain"))
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the rules."""
    return with_world(given, lambda world, namespace: _tables(world, namespace, given))


def _tables(world: World, namespace: str, given: argparse.Namespace) -> int:
    cluster = Cluster.from_objects(world.objects, world.network)
    if meta.Key("", given.node) not in cluster.objects["Node"]:
        raise ValueError(f'nodes "{given.node}" not found')
    ruleset = _chosen(cluster, cluster.machine(given.node).program.ruleset, namespace, given)
    print(render(ruleset).rstrip() if given.output == "nft" else "\n".join(explained(ruleset, cluster)))
    return 0


def _chosen(cluster: Cluster, ruleset: Ruleset, namespace: str, given: argparse.Namespace) -> Ruleset:
    if given.service:
        return of_service(ruleset, cluster, _key(cluster, "Service", given.service, namespace))
    if given.policy:
        names = {meta.Key("", given.policy)} & {key for kind in CLUSTER_POLICIES for key in cluster.objects[kind]}
        return of_policy(ruleset, names.pop() if names else _key(cluster, "NetworkPolicy", given.policy, namespace))
    return ruleset


def _key(cluster: Cluster, kind: str, text: str, namespace: str) -> meta.Key:
    where, _, name = text.rpartition("/")
    key = meta.Key(where or namespace, name)
    if key not in cluster.objects[kind]:
        raise ValueError(f'{kind} "{key}" not found')
    return key
