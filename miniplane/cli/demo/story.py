"""The story, scene by scene: each applies a manifest of the seed and yields the claims that it has just seen hold."""

import argparse
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from miniplane.cli.demo import network, policy, workloads
from miniplane.cli.demo.stage import NotSo, Stage
from miniplane.cli.session import add_connection, connect
from miniplane.cli.terminal import BOLD, DIM, cross, paint, tick
from miniplane.client import Client
from miniplane.client import kubeconfig as files

Scene = Callable[[Stage], AsyncIterator[str]]

SCENES: tuple[tuple[str, Scene], ...] = (
    ("Every pod has its own address, and all reach each other", workloads.pod_network),
    ("Containers of a pod share localhost", workloads.sidecar),
    ("Services are stable endpoints", network.services),
    ("EndpointSlices follow the pods", workloads.endpoints),
    ("Names resolve through cluster DNS", network.dns),
    ("Ingress routes by host", network.ingress),
    ("NetworkPolicy lets through what it names, and nothing else", policy.network_policy),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """`demo` needs to know where the server is, and may be told how many nodes to wait for."""
    add_connection(parser, namespace=False)
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes must be ready before it begins")


def run(given: argparse.Namespace) -> int:
    """Play the story on a cluster that is up."""
    return connect(given, lambda client, _: play(client, nodes=given.nodes))


async def tell(kubeconfig: Path) -> int:
    """Play the story as the administrator of a kubeconfig file."""
    async with Client(files.load(kubeconfig), user_agent="miniplane-demo") as client:
        return await play(client)


async def play(client: Client, *, nodes: int = 1) -> int:
    """Play all scenes once so many nodes are ready; 0 if every claim holds, 1 at the first that does not."""
    begun = time.monotonic()
    stage, claims = Stage(client, nodes), 0
    for number, (title, scene) in enumerate(SCENES, 1):
        print(f"\n{paint(f'{number}. {title}', BOLD)}", flush=True)
        try:
            async for said in scene(stage):
                claims += 1
                print(f"   {tick()} {said}", flush=True)
        except NotSo as error:
            print(f"   {cross()} {error}", file=sys.stderr, flush=True)
            print(f"\n{cross()} the demo failed in scene {number}; the cluster's logs say more.", file=sys.stderr)
            return 1
    took = time.monotonic() - begun
    print(f"\n{tick()} {claims} claims checked by doing them, in {took:.0f} s.")
    print(paint("  The manifests are in deploy/demo; seed/ holds the seed's own, applied as they are.", DIM))
    return 0
