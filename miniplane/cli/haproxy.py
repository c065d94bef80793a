"""`haproxy`: the routes of Ingresses, or of one Gateway, as a configuration of HAProxy."""

import argparse
import sys

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.cli.worlds import add_world, with_world
from miniplane.dataplane import gateway_routes, ingress_routes
from miniplane.dataplane.haproxy import render
from miniplane.dataplane.http_routes import Routes
from miniplane.dataplane.offline import World


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to print."""
    parser.add_argument("--gateway", default="", metavar="[NAMESPACE/]NAME", help="a Gateway instead of the Ingresses")
    parser.add_argument("--certificates", default="", metavar="DIR", help="HAProxy's certificates; without it no TLS")
    add_world(parser)


def run(given: argparse.Namespace) -> int:
    """Print the configuration; what is missing in it goes to standard error."""
    return with_world(given, lambda world, namespace: _print(world, namespace, given), addons=True)


def _print(world: World, namespace: str, given: argparse.Namespace) -> int:
    made = render(_routes(world, namespace, given.gateway), certificates=given.certificates)
    print(made.text, end="")
    for problem in made.problems:
        print(problem, file=sys.stderr)
    return 0


def _routes(world: World, namespace: str, gateway: str) -> Routes:
    objects: dict[str, dict[Key, Object]] = {}
    slices: dict[Key, list[Object]] = {}
    for obj in world.objects:
        objects.setdefault(obj["kind"], {})[meta.key_of(obj)] = obj
        if obj["kind"] == "EndpointSlice":
            slices.setdefault(Key(meta.namespace(obj), meta.labels(obj).get(SERVICE_NAME, "")), []).append(obj)
    services = objects.get("Service", {})
    if not gateway:
        ingresses, classes = objects.get("Ingress", {}).values(), objects.get("IngressClass", {}).values()
        return ingress_routes.build(ingresses, classes, services.get, lambda key: slices.get(key, ()))
    space, _, name = gateway.rpartition("/")
    found = objects.get("Gateway", {}).get(Key(space or namespace, name))
    if found is None:
        raise ValueError(f"there is no Gateway {space or namespace}/{name}")
    around = gateway_routes.World(
        routes=list(objects.get("HTTPRoute", {}).values()),
        grants=list(objects.get("ReferenceGrant", {}).values()),
        service=services.get,
        slices=lambda key: slices.get(key, ()),
        namespace=lambda wanted: objects.get("Namespace", {}).get(Key("", wanted)),
        secret=lambda _: {"type": "kubernetes.io/tls"},  # HAProxy's certificates are files of their own
    )
    return gateway_routes.build(found, around).routes
