"""What people call the ends of a connection: `web`, `deploy/web`, `svc/shop/api`, in the explainer's terms.

pod/NAME  deploy/NAME (its first pod)  svc/NAME  node/NAME  external  ADDRESS        with NAMESPACE/ before NAME
svc/NAME as a source is its first pod
NAME, NAMESPACE/NAME                                                                 a pod
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import LabelSelector

HTTP = 80
MOST_PORT = 65535
OUTSIDE = ("external", "outside", "internet")
_KINDS = {
    "Pod": ("po", "pod", "pods"),
    "Service": ("svc", "service", "services"),
    "Deployment": ("deploy", "deployment", "deployments"),
    "ReplicaSet": ("rs", "replicaset", "replicasets"),
    "StatefulSet": ("sts", "statefulset", "statefulsets"),
    "DaemonSet": ("ds", "daemonset", "daemonsets"),
    "Node": ("no", "node", "nodes"),
}
_BY_WORD = {word: kind for kind, words in _KINDS.items() for word in words}
WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def port_of(port: int | str) -> int | str:
    """A port's number, or its name. Raises ValueError for a number that no port has."""
    number = int(port) if isinstance(port, str) and port.isdigit() else port
    if isinstance(number, int) and not 0 <= number <= MOST_PORT:
        raise ValueError(f"{number} is no port number: 1 to {MOST_PORT}")
    return number


def split_port(text: str) -> tuple[str, int | str]:
    """`svc/api:80` → (`svc/api`, 80), `svc/api:web` → (`svc/api`, `web`), 0 without a port.

    An IPv6 address stands in brackets to have a port.
    """
    if (match := re.fullmatch(r"\[(.+)\](?::(.+))?", text)) is not None:
        return match[1], port_of(match[2] or 0)
    if text.count(":") == 1:
        head, _, tail = text.partition(":")
        return head, port_of(tail or 0)
    return text, 0


class Words:
    """Finds objects by what people call them. `namespace` is where a name without one is looked for."""

    def __init__(self, objects: Iterable[Object], namespace: str = "default") -> None:
        self._kinds: dict[str, dict[meta.Key, Object]] = {}
        for obj in objects:
            self._kinds.setdefault(obj.get("kind", ""), {})[meta.key_of(obj)] = obj
        self.namespace = namespace

    def of(self, kind: str) -> Mapping[meta.Key, Object]:
        """All objects of a kind."""
        return self._kinds.get(kind, {})

    def source(self, text: str) -> str:
        """FROM as the explainer knows it. Raises ValueError for what is not there."""
        if text in OUTSIDE or is_address(text):
            return text
        kind, name = self._split(text)
        if kind == "Service":
            self._party(kind, name, text)
            return f"pod/{self._first_pod(self._get(kind, name) or {}, text)}"
        return self._party(kind or "Pod", name, text)

    def target(self, text: str) -> str:
        """TO as the explainer knows it; empty for what must be a DNS name. Raises ValueError for what is not there."""
        if text in OUTSIDE or is_address(text):
            return text
        kind, name = self._split(text)
        if kind:
            return self._party(kind, name, text)
        if "/" not in name:
            return ""
        return self._party("Pod" if self._get("Pod", name) or not self._get("Service", name) else "Service", name, text)

    def port(self, target: str, port: int | str, protocol: str) -> int:
        """The number of a port that may be a name, or the target's first if it is 0. Raises ValueError."""
        if isinstance(port, str) and port.isdigit():
            port = int(port)
        if isinstance(port, int) and port:
            return port
        kind, _, name = target.partition("/")
        obj = self._get(_BY_WORD.get(kind, ""), name) if name else None
        offered = list(_offered(obj)) if obj is not None else []
        if not port:
            return next((number for _, word, number in offered if word == protocol), HTTP)
        for found, word, number in offered:
            if (found, word) == (port, protocol):
                return number
        raise ValueError(f"{target} has no {protocol} port with the name {port!r}")

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object of a kind and key."""
        return self.of(kind).get(meta.Key(namespace, name))

    def _split(self, text: str) -> tuple[str, str]:
        """(kind or nothing, [namespace/]name); `pod/web` is a kind, `shop/web` a namespace."""
        word, _, rest = text.partition("/")
        kind = _BY_WORD.get(word.lower(), "") if rest else ""
        return (kind, rest) if kind else ("", text)

    def _get(self, kind: str, name: str) -> Object | None:
        namespace, _, short = name.rpartition("/")
        return self.get(kind, "" if kind == "Node" else namespace or self.namespace, short)

    def _party(self, kind: str, name: str, text: str) -> str:
        obj = self._get(kind, name)
        if obj is None and kind in WORKLOADS:
            raise ValueError(f'{kind} "{name}" not found in namespace {self.namespace}')
        if obj is None:
            what = f"{kind.lower()}s"
            raise ValueError(f'{what} "{name}" not found{"" if kind == "Node" else f" in namespace {self.namespace}"}')
        if kind == "Node":
            return f"node/{meta.name(obj)}"
        if kind in WORKLOADS:
            return f"pod/{self._first_pod(obj, text)}"
        return f"{'svc' if kind == 'Service' else 'pod'}/{meta.key_of(obj)}"

    def _first_pod(self, workload: Object, text: str) -> meta.Key:
        """The first pod of a workload or Service that has an address."""
        wanted = (workload.get("spec") or {}).get("selector")
        if workload.get("kind") == "Service":
            wanted = {"matchLabels": wanted} if wanted else None
        selector = LabelSelector.from_object(wanted)
        pods = sorted(
            key
            for key, pod in self.of("Pod").items()
            if key.namespace == meta.namespace(workload)
            and selector.matches(meta.labels(pod))
            and (pod.get("status") or {}).get("podIP")
        )
        if not pods:
            raise ValueError(f"{text} has no pod with an address")
        return pods[0]


def _offered(obj: Object) -> Iterable[tuple[str, str, int]]:
    """The (name, protocol, number) of a Service's or a pod's ports."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    for port in spec.get("ports") or ():
        yield port.get("name") or "", port.get("protocol") or "TCP", port["port"]
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            yield port.get("name") or "", port.get("protocol") or "TCP", port["containerPort"]
