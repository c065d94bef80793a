"""Workloads as the pods that they stand for, named `<workload>-0`, `<workload>-1` and so on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object

_TEMPLATE_HASH = "pod-template-hash"
WORKLOADS = ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job")


def pods(objects: list[Object]) -> Iterator[Object]:
    """The pods of all workloads whose pods are not among the objects already, as in an export of a live cluster."""
    stated = {(meta.namespace(obj), *owner) for obj in objects for owner in _owners(obj)}
    workloads = [obj for obj in objects if obj["kind"] in WORKLOADS]
    nodes = _node_names(objects)
    taken = {meta.key_of(obj) for obj in objects if obj["kind"] == "Pod"}
    for workload in workloads:
        key = (meta.namespace(workload), workload["kind"], meta.name(workload))
        if key in stated or any(_is_of(workload, owner) for owner in _owners(workload)):
            continue
        for number in range(_count(workload, nodes)):
            pod = _pod(workload, number, nodes)
            if meta.key_of(pod) not in taken:
                yield pod


def numbered(objects: Iterable[Object]) -> list[Object]:
    """The objects with the pods of workloads named as `pods` names them, so that two worlds' pods can be compared."""
    whole = list(objects)
    sets = {meta.key_of(obj): obj for obj in whole if obj.get("kind") == "ReplicaSet"}
    alone = {meta.key_of(obj) for obj in whole if obj.get("kind") == "Pod" and meta.controller_of(obj) is None}
    counts: Counter[tuple[str, str]] = Counter()
    names: dict[meta.Key, str] = {}
    for pod in sorted((obj for obj in whole if obj.get("kind") == "Pod"), key=meta.key_of):
        owner = meta.controller_of(pod)
        if owner is None or owner["kind"] not in WORKLOADS or owner["kind"] == "StatefulSet":
            continue
        replica_set = sets.get(meta.Key(meta.namespace(pod), owner["name"]))
        above = meta.controller_of(replica_set) if replica_set is not None else None
        name = above["name"] if above is not None else [*_owners(pod)][0 if replica_set is not None else -1][1]
        workload = (meta.namespace(pod), name)
        while (new := meta.Key(workload[0], f"{workload[1]}-{counts[workload]}")) in alone:
            counts[workload] += 1
        names[meta.key_of(pod)] = new.name
        counts[workload] += 1
    return [_renamed(obj, names) if obj.get("kind") == "Pod" else obj for obj in whole]


def _renamed(pod: Object, names: Mapping[meta.Key, str]) -> Object:
    name = names.get(meta.key_of(pod), meta.name(pod))
    return pod | {"metadata": pod["metadata"] | {"name": name}}


def _owners(obj: Object) -> Iterator[tuple[str, str]]:
    """Who controls it, and for a pod of a Deployment also that, told by its label even where the ReplicaSet is not."""
    owner = meta.controller_of(obj)
    if owner is None:
        return
    yield owner["kind"], owner["name"]
    suffix = f"-{meta.labels(obj).get(_TEMPLATE_HASH, '')}"
    if owner["kind"] == "ReplicaSet" and suffix != "-" and owner["name"].endswith(suffix):
        yield "Deployment", owner["name"].removesuffix(suffix)


def _is_of(workload: Object, owner: tuple[str, str]) -> bool:
    """A ReplicaSet of a Deployment: its pods are the Deployment's."""
    return workload["kind"] == "ReplicaSet" and owner[0] == "Deployment"


def _node_names(objects: Iterable[Object]) -> list[str]:
    stated = {meta.name(obj) for obj in objects if obj["kind"] == "Node"}
    named = {(obj.get("spec") or {}).get("nodeName") or "" for obj in objects if obj["kind"] == "Pod"}
    return sorted((stated | named) - {""})


def _count(workload: Object, nodes: list[str]) -> int:
    spec: Mapping[str, Any] = workload.get("spec") or {}
    if workload["kind"] == "DaemonSet":
        return max(len(nodes), 1)
    count = spec.get("parallelism" if workload["kind"] == "Job" else "replicas")
    return 1 if count is None else int(count)


def _pod(workload: Object, number: int, nodes: list[str]) -> Object:
    spec = workload.get("spec") or {}
    template = meta.clone(spec.get("template") or {})
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or (spec.get("selector") or {}).get("matchLabels") or {}
    name = f"{meta.name(workload)}-{number}"
    body = template.get("spec") or {}
    if workload["kind"] == "DaemonSet" and nodes:
        body.setdefault("nodeName", nodes[number])
    if workload["kind"] == "StatefulSet" and spec.get("serviceName"):
        body = {"hostname": name, "subdomain": spec["serviceName"], **body}
    owner = {
        "apiVersion": workload.get("apiVersion", ""),
        "kind": workload["kind"],
        "name": meta.name(workload),
        "uid": meta.uid(workload),
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": name,
            "namespace": meta.namespace(workload),
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": body,
    }
