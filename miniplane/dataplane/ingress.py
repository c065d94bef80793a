"""Ingresses as a request meets them: where a host is served, and which object's which path takes it."""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.dataplane.explain import TraceHop
from miniplane.dataplane.http_routes import host_name
from miniplane.dataplane.ingress_routes import build
from miniplane.dataplane.offline_addons import INGRESS
from miniplane.dataplane.words import Words

PROXY = meta.key_of(INGRESS[0])
"""The Service in front of the proxy."""


class Ingresses:
    """The routes of one cluster's Ingresses."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.routes = build(
            words.of("Ingress").values(), words.of("IngressClass").values(), words.of("Service").get, self._slices
        )

    def knows(self, host: str) -> bool:
        """Whether an Ingress names the host, itself or by a wildcard."""
        name = host_name(host)
        return name in self.routes.hosts or f"*.{name.partition('.')[2]}" in self.routes.hosts

    def is_proxy(self, pod: str) -> bool:
        """Whether a pod (`namespace/name`) is the ingress proxy."""
        namespace, _, name = pod.partition("/")
        service, obj = self._words.get("Service", *PROXY), self._words.get("Pod", namespace, name)
        if service is None or obj is None or namespace != PROXY.namespace:
            return False
        selector = (service.get("spec") or {}).get("selector") or {}
        return bool(selector) and selector.items() <= meta.labels(obj).items()

    def address(self, host: str, path: str) -> tuple[str, str, str]:
        """The object, its field and the address where a host is served; the address is empty if there is none."""
        route = self.routes.find(host, path)
        ingress = self._words.get("Ingress", *route.owner) if route is not None else None
        if ingress is not None and (address := _balancer(ingress)):
            return f"Ingress {meta.key_of(ingress)}", "status.loadBalancer.ingress[0].ip", address
        service = self._words.get("Service", *PROXY)
        if service is None:
            return "", "", ""
        return f"Service {PROXY}", "status.loadBalancer.ingress[0].ip", _balancer(service)

    def route(self, host: str, path: str, node: str) -> tuple[TraceHop, tuple[tuple[str, int], ...]]:
        """The proxy's decision, and the endpoints that it may take; none if it answers for itself."""
        route = self.routes.find(host, path)
        if route is None:
            text = f"no Ingress has a rule for {host}{path}: the proxy answers 404"
            return TraceHop("ingress", node, "", "", "reject", text, ""), ()
        shown, field = str(route), route.field
        if not route.target.endpoints:
            reasons = [item.message for item in self.routes.problems if item.owner == route.owner]
            why = f" ({'; '.join(reasons)})" if reasons else ""
            text = (
                f"{host}{path} goes to Service {route.target}, which has no ready endpoint{why}: the proxy answers 503"
            )
            return TraceHop("ingress", node, shown, field, "reject", text, ""), ()
        count = len(route.target.endpoints)
        endpoints = "its only endpoint" if count == 1 else f"one of its {count} endpoints"
        text = f"{host}{path} goes to Service {route.target}; the proxy connects to {endpoints} itself"
        return TraceHop("ingress", node, shown, field, "accept", text, ""), route.target.endpoints

    def _slices(self, key: meta.Key) -> Iterable[Object]:
        for part in self._words.of("EndpointSlice").values():
            if (meta.namespace(part), meta.labels(part).get(SERVICE_NAME)) == key:
                yield part


def _balancer(obj: Object) -> str:
    items = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return next((str(item["ip"]) for item in items if item.get("ip")), "")
