"""`trace FROM TO[:PORT]`: what will happen to a packet, hop by hop, with the object and field that decide.

FROM is a pod (`web`, `pod/web`, `production/web`), a workload (`deploy/web`, its first pod), a node (`node/node-1`) or
`external`. TO is a Service (`svc/api`), a pod, a name as a pod would look it up (`api`, `api.production.svc`), or an
address. The path is not sent: it is computed from the same compiled rules that the nodes enforce.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from miniplane.aio import bounded
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.selectors import LabelSelector
from miniplane.cli import printers
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client
from miniplane.config import Network
from miniplane.dataplane.explain import Cluster, trace
from miniplane.dataplane.packet import Protocol
from miniplane.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    REPLICA_SET,
    SERVICE,
)

READ: tuple[Kind, ...] = (NODE, NAMESPACE, POD, SERVICE, ENDPOINT_SLICE, NETWORK_POLICY, DEPLOYMENT, REPLICA_SET)
HTTP = 80


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where from, where to, and how to print it."""
    parser.add_argument("source", metavar="FROM", help="pod, deploy/name, node/name or external")
    parser.add_argument("target", metavar="TO[:PORT]", help="svc/name, pod/name, a DNS name or an address")
    parser.add_argument("--port", type=int, default=0, help="the port, if TO does not say it")
    parser.add_argument("--protocol", default="TCP", choices=[str(word) for word in ("TCP", "UDP", "SCTP")])
    parser.add_argument("-o", "--output", default="text", choices=("text", "json", "yaml"))
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Print the trace; exit code 1 if the packet would not arrive."""
    return connect(given, lambda client, namespace: _trace(client, namespace, given))


async def read(client: Client, kinds: Sequence[Kind] = READ) -> list[Object]:
    """All objects of some kinds."""
    objects: list[Object] = []

    async def one(kind: Kind) -> None:
        objects.extend((await client.list(kind)).items)

    await bounded(kinds, one, at_once=4)
    return objects


async def _trace(client: Client, namespace: str, given: argparse.Namespace) -> int:
    state = State(await read(client), namespace)
    source = state.source(given.source)
    target, port = state.target(given.target, given.port, source)
    found = trace(Cluster.from_objects(state.objects, Network()), source, target, port, Protocol[given.protocol])
    if given.output == "text":
        print("\n".join(found.lines()))
    else:
        print(printers.whole([found.to_json()], given.output, single=True))
    return 0 if found.verdict == "delivered" else 1


def split_port(text: str, port: int) -> tuple[str, int]:
    """`svc/api:80` → (`svc/api`, 80); an IPv6 address stands in brackets to have a port."""
    if (match := re.fullmatch(r"\[(.+)\](?::(\d+))?", text)) is not None:
        return match[1], int(match[2] or port)
    if text.count(":") == 1:
        head, _, tail = text.partition(":")
        if not tail.isdigit():
            raise ValueError(f"{tail!r} is no port number")
        return head, int(tail)
    return text, port


@dataclass(slots=True)
class State:
    """The cluster's objects, and the words that people use for them."""

    objects: list[Object]
    namespace: str

    def _of(self, kind: Kind) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind.kind]

    def _find(self, kind: Kind, text: str) -> Object | None:
        where, _, name = text.rpartition("/")
        where = where or self.namespace
        return next(
            (item for item in self._of(kind) if meta.name(item) == name and meta.namespace(item) == where), None
        )

    def _pod(self, text: str) -> str:
        if (pod := self._find(POD, text)) is None:
            raise ValueError(f'pods "{text}" not found in namespace {self.namespace}')
        return f"pod/{meta.namespace(pod)}/{meta.name(pod)}"

    def _workload(self, text: str) -> str:
        """The first running pod of a Deployment."""
        if (deployment := self._find(DEPLOYMENT, text)) is None:
            raise ValueError(f'deployments.apps "{text}" not found in namespace {self.namespace}')
        selector = LabelSelector.from_object(deployment["spec"]["selector"])
        pods = sorted(
            meta.name(pod)
            for pod in self._of(POD)
            if meta.namespace(pod) == meta.namespace(deployment)
            and selector.matches(meta.labels(pod))
            and (pod.get("status") or {}).get("podIP")
        )
        if not pods:
            raise ValueError(f"deployment {text!r} has no pod with an address yet")
        return f"pod/{meta.namespace(deployment)}/{pods[0]}"

    def source(self, text: str) -> str:
        """FROM in the explainer's terms. Raises ValueError for what is not there."""
        word, _, rest = text.partition("/")
        if text == "external" or word == "node":
            return text
        if word in ("deploy", "deployment", "deployments") and rest:
            return self._workload(rest)
        return self._pod(rest if word in ("pod", "pods", "po") and rest else text)

    def target(self, text: str, port: int, source: str) -> tuple[str, int]:
        """TO in the explainer's terms, with its port: a Service's or a pod's first one if none is said."""
        name, port = split_port(text, port)
        word, _, rest = name.partition("/")
        if word in ("svc", "service", "services") and rest:
            return self._service(rest, port)
        if word in ("pod", "pods", "po") and rest:
            return self._to_pod(rest, port)
        if word in ("deploy", "deployment", "deployments") and rest:
            return self._to_pod(self._workload(rest).removeprefix("pod/"), port)
        if word == "node" and rest:
            return name, port or HTTP
        try:
            return str(ip_address(name)), port or HTTP
        except ValueError:
            return self._named(name, port, source)

    def _to_pod(self, text: str, port: int) -> tuple[str, int]:
        pod = self._find(POD, text)
        ports = [
            item["containerPort"]
            for c in (pod or {}).get("spec", {}).get("containers", ())
            for item in c.get("ports") or ()
        ]
        return self._pod(text), port or next(iter(ports), HTTP)

    def _service(self, text: str, port: int) -> tuple[str, int]:
        if (service := self._find(SERVICE, text)) is None:
            raise ValueError(f'services "{text}" not found in namespace {self.namespace}')
        first = next((item["port"] for item in service["spec"].get("ports") or ()), HTTP)
        return f"svc/{meta.namespace(service)}/{meta.name(service)}", port or first

    def _named(self, name: str, port: int, source: str) -> tuple[str, int]:
        """A name as the source's resolver would complete it: in its own namespace first."""
        labels = name.rstrip(".").split(".")
        home = source.split("/")[1] if source.startswith("pod/") else self.namespace
        forms = {1: [home], 2: labels[1:2], 3: labels[1:2]}
        where = (forms.get(len(labels)) or labels[1:2])[0]
        known = labels[2:] in ([], ["svc"], ["svc", "cluster", "local"])
        if known and self._find(SERVICE, f"{where}/{labels[0]}") is not None:
            return self._service(f"{where}/{labels[0]}", port)
        raise ValueError(f"no Service answers to the name {name!r} from namespace {home!r}")
