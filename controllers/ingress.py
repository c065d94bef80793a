"""Ingresses of our class show the address of the proxy's load balancer, and events say what they ask for in vain."""

from collections.abc import Iterable

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.ingress_routes import build
from miniplane.kinds import INGRESS, INGRESS_CLASS, SECRET, SERVICE
from miniplane.runtime import DONE, Context, On, Result

PROXY_SERVICE = Key("kube-system", "ingress")
"""The Service in front of the built-in ingress proxy (addons/ingress.yaml)."""

_TLS = "kubernetes.io/tls"


def is_ours(ingress: Object, classes: Iterable[Object]) -> bool:
    """Whether an Ingress belongs to the built-in proxy: its class names our controller."""
    ours = {
        meta.name(item)
        for item in classes
        if (item.get("spec") or {}).get("controller") == wellknown.INGRESS_CONTROLLER
    }
    return (ingress.get("spec") or {}).get("ingressClassName") in ours


def addresses(service: Object | None) -> list[Object]:
    """The proxy's addresses, as an Ingress status lists them."""
    status = ((service or {}).get("status") or {}).get("loadBalancer") or {}
    return [{"ip": item["ip"]} for item in status.get("ingress") or () if item.get("ip")]


def all_ingresses(_changed: Object, ctx: Context) -> Iterable[Key]:
    """Every Ingress: a change of a class or of the proxy's Service may concern each."""
    return [meta.key_of(ingress) for ingress in ctx.cache(INGRESS).list()]


def ingresses_of_service(service: Object, ctx: Context) -> Iterable[Key]:
    """Every Ingress if the proxy's own Service changed, else those of its namespace: one may be waiting for it."""
    if meta.key_of(service) == PROXY_SERVICE:
        return all_ingresses(service, ctx)
    return [meta.key_of(ingress) for ingress in ctx.cache(INGRESS).list(meta.namespace(service))]


def ingresses_of_secret(secret: Object, ctx: Context) -> Iterable[Key]:
    """The Ingresses that show a Secret's certificate."""
    for ingress in ctx.cache(INGRESS).list(meta.namespace(secret)):
        if any(tls.get("secretName") == meta.name(secret) for tls in (ingress.get("spec") or {}).get("tls") or ()):
            yield meta.key_of(ingress)


class IngressStatus:
    """The reconciler; what all Ingresses ask for is judged once for each state of the cluster."""

    def __init__(self) -> None:
        self._judged: tuple[int, ...] = ()
        self._problems: dict[Key, list[str]] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one Ingress' status in line; one that is not ours is left alone."""
        ingress = ctx.cache(INGRESS).get(key)
        if ingress is None or meta.is_deleted(ingress) or not is_ours(ingress, ctx.cache(INGRESS_CLASS).list()):
            return DONE
        for reason, message in self._found(ingress, ctx):
            ctx.event(ingress, "Warning", reason, message)
        wanted = addresses(ctx.cache(SERVICE).get(PROXY_SERVICE))
        now = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        if now != wanted:
            status = {"loadBalancer": {"ingress": wanted}}
            await ctx.client.patch(INGRESS, key, {"status": status}, subresource="status")
            ctx.event(ingress, "Normal", "Sync", "Scheduled for sync")
        return DONE

    def _found(self, ingress: Object, ctx: Context) -> list[tuple[str, str]]:
        """(reason, message) of what the proxy can't do for an Ingress."""
        key = meta.key_of(ingress)
        found = [("Rejected", message) for message in self._judge(ctx).get(key, ())]
        for tls in (ingress.get("spec") or {}).get("tls") or ():
            name = tls.get("secretName") or ""
            secret = ctx.cache(SECRET).get(Key(key.namespace, name)) if name else None
            if name and (secret is None or secret.get("type") != _TLS):
                message = f"secret {key.namespace}/{name} is not there, or is not of type {_TLS}"
                found.append(("BadCertificate", f"{message}: the proxy's own certificate is shown"))
        return list(dict.fromkeys(found))

    def _judge(self, ctx: Context) -> dict[Key, list[str]]:
        caches = [ctx.cache(kind) for kind in (INGRESS, INGRESS_CLASS, SERVICE)]
        state = tuple(cache.revision for cache in caches)
        if state != self._judged:
            self._judged = state
            self._problems = {}
            ingresses, classes, services = caches
            for problem in build(ingresses.list(), classes.list(), services.get, lambda _: ()).problems:
                self._problems.setdefault(problem.owner, []).append(problem.message)
        return self._problems


def controller() -> On:
    """The controller."""
    on = On("ingress")
    also = [
        on.mapped(INGRESS_CLASS, all_ingresses),
        on.mapped(SERVICE, ingresses_of_service),
        on.mapped(SECRET, ingresses_of_secret),
    ]
    on.reconcile(INGRESS, also=also)(IngressStatus().reconcile)
    return on
