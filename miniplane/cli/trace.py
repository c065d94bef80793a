"""`trace FROM TO[:PORT]`: what will happen to a packet, hop by hop, with the object and field that decide.

FROM is a pod (`web`, `pod/web`, `production/web`), a workload (`deploy/web`, its first pod), a node (`node/node-1`) or
`external`. TO is a Service (`svc/api`), a pod, a name as FROM would look it up (`api`, `api.production.svc`), a URL, or
an address. Nothing is sent: it is computed from the same compiled rules that the nodes enforce.
"""

import argparse

from miniplane.cli import printers
from miniplane.cli.worlds import add_world, with_world
from miniplane.dataplane.drawing import draw
from miniplane.dataplane.journey import DELIVERED, Journeys
from miniplane.dataplane.offline import World


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where from, where to, and how to print it."""
    parser.add_argument("source", metavar="FROM", help="pod, deploy/name, node/name, external or an address")
    parser.add_argument("target", metavar="TO[:PORT]", help="svc/name, pod/name, a DNS name, a URL or an address")
    parser.add_argument("--port", default="0", help="the port's number or name, if TO does not say it")
    parser.add_argument("--protocol", default="TCP", choices=("TCP", "UDP", "SCTP"))
    parser.add_argument("--all-backends", action="store_true", help="tell the way to every backend, not only to one")
    parser.add_argument("--reply", action="store_true", help="tell the answer's way back too")
    parser.add_argument("-o", "--output", default="text", choices=("text", "json", "yaml", "svg"))
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the trace; exit code 1 if the packet would not arrive."""
    return with_world(given, lambda world, namespace: _trace(world, namespace, given), addons=True)


def _trace(world: World, namespace: str, given: argparse.Namespace) -> int:
    journeys = Journeys(world.objects, world.network, namespace)
    found = journeys.follow(given.source, given.target, given.port, given.protocol, reply=given.reply)
    if given.output == "text":
        print("\n".join(found.lines(all_backends=given.all_backends)))
    elif given.output == "svg":
        print(draw(found, f"{given.source} → {_asked(given)}", all_backends=given.all_backends))
    else:
        whole = found.to_json(all_backends=given.all_backends)
        print(printers.whole([whole], given.output, single=True))
    return 0 if found.verdict == DELIVERED else 1


def _asked(given: argparse.Namespace) -> str:
    """TO with its port and protocol, where they were asked for apart from it."""
    port = f":{given.port}" if given.port != "0" else ""
    protocol = f" ({given.protocol})" if given.protocol != "TCP" else ""
    return f"{given.target}{port}{protocol}"
