"""Gateway: a proxy of its own for each Gateway of our classes, and what is to be told of it.

The proxy is a Deployment in `kube-system` behind a LoadBalancer Service, both named after the Gateway; they go with it.
Its pods work the routes out themselves, from the same function that gives the conditions here.
"""

import hashlib
from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.dataplane.gateway_routes import GROUP, ListenerState, Plan, Verdict, is_ours, no, yes
from miniplane.errors import AlreadyExists, NotFound
from miniplane.kinds import (
    DEPLOYMENT,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE,
    NAMESPACE,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
)
from miniplane.runtime import DONE, Context, On, Result

from .gatewayplans import Plans, conditions

NAMESPACE_OF_PROXIES = "kube-system"
NAME_LABEL, NAMESPACE_LABEL = "gateway.networking.k8s.io/gateway-name", "gateway.networking.k8s.io/gateway-namespace"
"""Labels of what belongs to a Gateway; the first is upstream's (GEP-1762)."""
_LONGEST = 63


def proxy_name(gateway: Key) -> str:
    """The name of a Gateway's Deployment and Service."""
    name = f"gateway-{gateway.namespace}-{gateway.name}".replace(".", "-")
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(str(gateway).encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9]}-{digest}"


def all_gateways(_changed: Object, ctx: Context) -> Iterable[Key]:
    """Every Gateway: what routes, grants, Services and the like change may concern each."""
    return [meta.key_of(gateway) for gateway in ctx.cache(GATEWAY).list()]


def owner(obj: Object, _ctx: Context) -> Iterable[Key]:
    """The Gateway that a Deployment belongs to."""
    labels = meta.labels(obj)
    if meta.namespace(obj) == NAMESPACE_OF_PROXIES and NAME_LABEL in labels:
        yield Key(labels.get(NAMESPACE_LABEL, ""), labels[NAME_LABEL])


class Gateways:
    """The reconciler."""

    def __init__(self) -> None:
        self._plans = Plans()

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring a Gateway's proxy and status in line."""
        plan, gateway = self._plans.of(key, ctx), ctx.cache(GATEWAY).get(key)
        if plan is None or gateway is None:
            await _remove(key, ctx)
            return DONE
        refused = bool((gateway.get("spec") or {}).get("addresses"))
        ports = {} if refused else {item.port: item.secure for item in plan.routes.listeners}
        if ports:
            await _ensure(key, gateway, ports, ctx)
        else:
            await _remove(key, ctx)
        service = ctx.cache(SERVICE).get(Key(NAMESPACE_OF_PROXIES, proxy_name(key)))
        status = _status(gateway, plan, _addresses(service if ports else None), ctx, refused=refused)
        if status != gateway.get("status"):
            await ctx.client.patch(GATEWAY, key, {"status": status}, subresource="status")
        return DONE


async def _remove(key: Key, ctx: Context) -> None:
    where = Key(NAMESPACE_OF_PROXIES, proxy_name(key))
    for kind in (SERVICE, DEPLOYMENT):
        found = ctx.cache(kind).get(where)
        if found is not None and key in owner(found, ctx) and not meta.is_deleted(found):
            try:
                await ctx.client.delete(kind, where, uid=meta.uid(found), propagation="Background")
            except NotFound:
                continue


async def _ensure(key: Key, gateway: Object, ports: dict[int, bool], ctx: Context) -> None:
    infrastructure = (gateway.get("spec") or {}).get("infrastructure") or {}
    labels = {NAME_LABEL: key.name, NAMESPACE_LABEL: key.namespace}
    metadata = {
        "name": proxy_name(key),
        "namespace": NAMESPACE_OF_PROXIES,
        "labels": {**(infrastructure.get("labels") or {}), **labels},
        "annotations": infrastructure.get("annotations") or {},
    }
    shown = [{"name": f"port-{port}", "port": port, "protocol": "TCP", "targetPort": port} for port in sorted(ports)]
    service = {"type": "LoadBalancer", "selector": labels, "ports": shown}
    container = {
        "name": "proxy",
        "image": "miniplane/ingress",
        "args": [f"-gateway={key}"],
        "ports": [{"name": f"port-{port}", "containerPort": port, "protocol": "TCP"} for port in sorted(ports)],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 10254}, "periodSeconds": 2},
    }
    pod = {"serviceAccountName": "ingress", "terminationGracePeriodSeconds": 30, "containers": [container]}
    template = {"metadata": {"labels": metadata["labels"]}, "spec": pod}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await _apply(SERVICE, metadata, service, ("ports",), ctx)
    await _apply(DEPLOYMENT, metadata, deployment, (), ctx)


async def _apply(kind: Kind, metadata: Object, spec: Object, kept: tuple[str, ...], ctx: Context) -> None:
    """Create an object, or bring the fields in line that depend on the Gateway's listeners."""
    key = Key(metadata["namespace"], metadata["name"])
    found = ctx.cache(kind).get(key)
    if found is None:
        try:
            await ctx.client.create(kind, {"metadata": metadata, "spec": spec})
        except AlreadyExists:
            return
        return
    changed = {name: spec[name] for name in kept if not _covers(found["spec"].get(name), spec[name])}
    if changed:
        await ctx.client.patch(kind, key, {"spec": changed})


def _covers(there: list[Object] | None, wanted: list[Object]) -> bool:
    """Whether a list has what is wanted, whatever else the server has filled in."""
    there = there or []
    return len(there) == len(wanted) and all(
        want.items() <= have.items() for have, want in zip(there, wanted, strict=True)
    )


def _addresses(service: Object | None) -> list[Object]:
    status = ((service or {}).get("status") or {}).get("loadBalancer") or {}
    return [{"type": "IPAddress", "value": item["ip"]} for item in status.get("ingress") or () if item.get("ip")]


def _status(gateway: Object, plan: Plan, addresses: list[Object], ctx: Context, *, refused: bool) -> Object:
    generation = meta.metadata(gateway).get("generation") or 0
    old = gateway.get("status") or {}
    before = {item.get("name"): item.get("conditions") or [] for item in old.get("listeners") or ()}
    listeners = [
        {
            "name": state.name,
            "supportedKinds": [{"group": GROUP, "kind": "HTTPRoute"}] if state.kinds else [],
            "attachedRoutes": len(state.attached),
            "conditions": conditions(before.get(state.name, []), _told(state, addresses), generation, ctx),
        }
        for state in plan.listeners
    ]
    verdicts = _whole(plan, addresses, refused=refused)
    return {
        "addresses": addresses,
        "conditions": conditions(old.get("conditions") or [], verdicts, generation, ctx),
        "listeners": listeners,
    }


def _told(state: ListenerState, addresses: list[Object]) -> tuple[Verdict, ...]:
    if not state.is_served:
        return (*state.verdicts, no("Programmed", "Invalid", "the listener is not served"))
    if not addresses:
        return (*state.verdicts, no("Programmed", "Pending", "there is no address yet"))
    return (*state.verdicts, yes("Programmed", "Programmed"))


def _whole(plan: Plan, addresses: list[Object], *, refused: bool) -> tuple[Verdict, Verdict]:
    if refused:
        text = "addresses are given by the load balancer's pool: spec.addresses is not served"
        return no("Accepted", "UnsupportedAddress", text), no("Programmed", "Invalid", "the Gateway is not served")
    served = [state for state in plan.listeners if state.is_served]
    if not served:
        text = "no listener can be served"
        return no("Accepted", "ListenersNotValid", text), no("Programmed", "Invalid", "the Gateway is not served")
    accepted = yes("Accepted", "Accepted" if len(served) == len(plan.listeners) else "ListenersNotValid")
    if not addresses:
        return accepted, no("Programmed", "AddressNotAssigned", "the load balancer has given no address yet")
    return accepted, yes("Programmed", "Programmed")


async def accept_class(key: Key, ctx: Context) -> Result:
    """Say of our GatewayClasses that they are served."""
    found = ctx.cache(GATEWAY_CLASS).get(key)
    if found is None or not is_ours(found):
        return DONE
    old, generation = (found.get("status") or {}).get("conditions") or [], meta.metadata(found).get("generation") or 0
    new = conditions(old, (yes("Accepted", "Accepted"),), generation, ctx)
    if new != old:
        await ctx.client.patch(GATEWAY_CLASS, key, {"status": {"conditions": new}}, subresource="status")
    return DONE


def controller() -> On:
    """The controller of Gateways and their classes."""
    on = On("gateway")
    on.reconcile(GATEWAY_CLASS)(accept_class)
    others = (GATEWAY_CLASS, HTTP_ROUTE, REFERENCE_GRANT, SERVICE, SECRET, NAMESPACE)
    also = [*(on.mapped(kind, all_gateways) for kind in others), on.mapped(DEPLOYMENT, owner)]
    on.reconcile(GATEWAY, also=also)(Gateways().reconcile)
    return on
