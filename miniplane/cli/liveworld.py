"""The network of a running cluster, read from its API server."""

import argparse

from miniplane.aio import bounded
from miniplane.api.kind import Kind, Object
from miniplane.cli.session import connect
from miniplane.client import Client
from miniplane.dataplane import offline
from miniplane.dataplane.cluster import KINDS as NETWORK_KINDS
from miniplane.dataplane.offline import World
from miniplane.dataplane.tierviews import KINDS as CLUSTER_POLICIES
from miniplane.kinds import (
    DEPLOYMENT,
    GATEWAY,
    HTTP_ROUTE,
    INGRESS,
    INGRESS_CLASS,
    KINDS,
    REFERENCE_GRANT,
    REPLICA_SET,
)

READ: tuple[Kind, ...] = (
    *(kind for kind in KINDS if kind.kind in (*NETWORK_KINDS, *CLUSTER_POLICIES)),
    INGRESS,
    INGRESS_CLASS,
    GATEWAY,
    HTTP_ROUTE,
    REFERENCE_GRANT,
    DEPLOYMENT,
    REPLICA_SET,
)
"""What the network is made of, and what people name its parts by."""


def read(given: argparse.Namespace) -> tuple[World, str]:
    """The world of the cluster that the flags mean, and the namespace."""
    return connect(given, _read)


async def _read(client: Client, namespace: str) -> tuple[World, str]:
    objects: list[Object] = []

    async def one(kind: Kind) -> None:
        objects.extend((await client.list(kind)).items)

    await bounded(READ, one, at_once=4)
    return World(tuple(objects), offline.plan_of(objects)), namespace
