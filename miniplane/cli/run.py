"""`run` and `expose`: a pod of one image, and a Service for what runs already."""

import argparse
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.cli import printers, resources
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.kinds import POD, SERVICE

TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
EXPOSED = ("Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet")
RESTARTS = ("Always", "OnFailure", "Never")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("--port", type=int, default=0, help="the port that is exposed")
    parser.add_argument("-l", "--labels", default="", metavar="KEY=VALUE,...", help="labels of the new object")
    parser.add_argument("--dry-run", default="none", choices=("none", "client", "server"), help="change nothing")
    parser.add_argument("-o", "--output", default="", choices=("", "name", "yaml", "json"), help="print the object")
    if parser.get_default("command") == "run":
        parser.add_argument("name")
        parser.add_argument("--image", required=True)
        parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--restart", default="Always", choices=RESTARTS)
        parser.add_argument("--command", dest="replaces", action="store_true", help="what follows -- is the command")
    else:
        parser.add_argument("words", nargs="+", metavar="KIND NAME")
        parser.add_argument("--name", default="", help="of the Service (default: the object's)")
        parser.add_argument("--target-port", default="", help="the container's, a number or a name")
        parser.add_argument("--protocol", default="", choices=("", "TCP", "UDP", "SCTP"))
        parser.add_argument("--type", default="", choices=("", *TYPES))
        parser.add_argument("--cluster-ip", default="", help="an address, or None for a headless Service")
        parser.add_argument("--selector", default="", metavar="KEY=VALUE,...", help="instead of the object's own")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Make the object."""
    work = _run if given.command == "run" else _expose
    return connect(given, lambda client, namespace: work(client, namespace, given))


def _pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`. Raises ValueError."""
    words = [word.partition("=") for word in text.split(",") if word]
    if bad := ["".join(word) for word in words if not word[1]]:
        raise ValueError(f"unexpected label spec: {bad[0]}")
    return {key: value for key, _, value in words}


def pod_of(given: argparse.Namespace, namespace: str) -> Object:
    """The pod that `run` makes."""
    container: Object = {"name": given.name, "image": given.image}
    if given.after:
        container["command" if given.replaces else "args"] = list(given.after)
    if given.env:
        container["env"] = [{"name": key, "value": value} for key, _, value in (e.partition("=") for e in given.env)]
    if given.port:
        container["ports"] = [{"containerPort": given.port}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": given.name, "namespace": namespace, "labels": _pairs(given.labels) or {"run": given.name}},
        "spec": {"containers": [container], "restartPolicy": given.restart},
    }


async def _run(client: Client, namespace: str, given: argparse.Namespace) -> int:
    return await _make(client, POD, pod_of(given, namespace), given, "created")


async def _expose(client: Client, namespace: str, given: argparse.Namespace) -> int:
    kind, name = resources.one(await discover(client), given.words)
    if kind.kind not in EXPOSED:
        raise ValueError(f"cannot expose a {kind.kind}")
    obj = await client.get(kind, name, namespace)
    return await _make(client, SERVICE, service_of(kind, obj, given), given, "exposed")


def service_of(kind: Kind, obj: Object, given: argparse.Namespace) -> Object:
    """The Service for an object. Raises ValueError where it selects no pods or has no port."""
    selector = _pairs(given.selector) or _selector(kind, obj)
    found = _ports(obj) if not given.port else [{"port": given.port, "protocol": given.protocol or "TCP"}]
    if not found:
        raise ValueError("couldn't find port via --port flag or introspection")
    target: Any = int(given.target_port) if given.target_port.isdigit() else given.target_port
    ports = [{**port, "targetPort": target or port["port"]} for port in found]
    if len(ports) > 1:
        ports = [{"name": f"port-{number}", **port} for number, port in enumerate(ports, 1)]
    spec: Object = {"selector": selector, "ports": ports}
    spec |= {"type": given.type} if given.type else {}
    spec |= {"clusterIP": given.cluster_ip} if given.cluster_ip else {}
    metadata: Object = {"name": given.name or meta.name(obj), "namespace": meta.namespace(obj)}
    if labels := _pairs(given.labels) or dict(meta.labels(obj)):
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _selector(kind: Kind, obj: Object) -> dict[str, str]:
    selector = dict(meta.labels(obj)) if kind == POD else (obj.get("spec") or {}).get("selector")
    if isinstance(selector, dict) and ("matchLabels" in selector or "matchExpressions" in selector):
        if selector.get("matchExpressions"):
            raise ValueError("couldn't convert expressions of the selector to a map: use --selector")
        selector = selector["matchLabels"]
    if not selector:
        raise ValueError("couldn't retrieve selectors via --selector flag or introspection")
    return dict(selector)


def _ports(obj: Object) -> list[Object]:
    spec = obj.get("spec") or {}
    if "ports" in spec:
        return [{"port": port["port"], "protocol": port.get("protocol", "TCP")} for port in spec["ports"]]
    containers = ((spec.get("template") or {}).get("spec") or spec).get("containers") or ()
    declared = [port for container in containers for port in container.get("ports") or ()]
    return [{"port": port["containerPort"], "protocol": port.get("protocol", "TCP")} for port in declared]


async def _make(client: Client, kind: Kind, obj: Object, given: argparse.Namespace, word: str) -> int:
    made = obj if given.dry_run == "client" else await client.create(kind, obj, dry_run=given.dry_run == "server")
    if given.output in ("yaml", "json"):
        print(printers.whole([made], given.output, single=True))
    elif given.output == "name":
        print(printers.identity(kind, meta.name(made)))
    else:
        suffix = {"client": " (dry run)", "server": " (server dry run)"}.get(given.dry_run, "")
        print(f"{printers.identity(kind, meta.name(made))} {word}{suffix}")
    return 0
