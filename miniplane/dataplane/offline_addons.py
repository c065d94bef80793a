"""What manifests take for granted in a cluster: its DNS and its ingress proxy, as the controllers run them."""

from collections.abc import Iterable, Iterator
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER

NAMESPACE = "kube-system"


def _service(name: str, labels: dict[str, str], **spec: Any) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, **spec}}


def _deployment(name: str, labels: dict[str, str], *ports: Object) -> Object:
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "ports": list(ports)}]}}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _port(name: str, number: int, protocol: str = "TCP") -> Object:
    return {"name": name, "containerPort": number, "protocol": protocol}


_DNS_LABELS = {"k8s-app": "kube-dns"}
_INGRESS_LABELS = {"app.kubernetes.io/name": "ingress"}

DNS: tuple[Object, ...] = (
    _service(
        "kube-dns",
        _DNS_LABELS,
        ports=[
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        ],
    ),
    _deployment("kube-dns", _DNS_LABELS, _port("dns", 53, "UDP"), _port("dns-tcp", 53)),
)
"""What answers names."""
INGRESS: tuple[Object, ...] = (
    _service(
        "ingress",
        _INGRESS_LABELS,
        type="LoadBalancer",
        ports=[
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"},
            {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"},
        ],
    ),
    _deployment("ingress", _INGRESS_LABELS, _port("http", 80), _port("https", 443)),
)
"""What answers for Ingresses."""


def ingress_classes(objects: Iterable[Object]) -> Iterator[Object]:
    """The classes that Ingresses name and no manifest brings, and a default one for those that name none: all ours."""
    objects = list(objects)
    stated = {meta.name(obj): obj for obj in objects if obj["kind"] == "IngressClass"}
    specs = [obj.get("spec") or {} for obj in objects if obj["kind"] == "Ingress"]
    named = {str(spec["ingressClassName"]) for spec in specs if spec.get("ingressClassName")}
    for name in sorted(named - stated.keys()):
        yield _class(name, {})
    defaults = [obj for obj in stated.values() if meta.annotations(obj).get(DEFAULT_INGRESS_CLASS) == "true"]
    if not defaults and any(not spec.get("ingressClassName") for spec in specs) and "miniplane" not in named:
        yield _class("miniplane", {DEFAULT_INGRESS_CLASS: "true"})


def _class(name: str, annotations: dict[str, str]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"controller": INGRESS_CONTROLLER},
    }
