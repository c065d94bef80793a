"""Ingresses of our class show the address of the ingress proxy's load balancer in their status."""

from collections.abc import Iterable

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import INGRESS, INGRESS_CLASS, SERVICE
from miniplane.runtime import DONE, Context, On, Result

PROXY_SERVICE = Key("kube-system", "ingress")
"""The Service in front of the built-in ingress proxy (addons/ingress.yaml)."""

on = On("ingress")


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
    """Every Ingress if the proxy's own Service changed, else none."""
    return all_ingresses(service, ctx) if meta.key_of(service) == PROXY_SERVICE else ()


@on.reconcile(INGRESS, also=[on.mapped(INGRESS_CLASS, all_ingresses), on.mapped(SERVICE, ingresses_of_service)])
async def ingress_status(key: Key, ctx: Context) -> Result:
    """Bring one Ingress' status in line; one that is not ours is left alone."""
    ingress = ctx.cache(INGRESS).get(key)
    if ingress is None or meta.is_deleted(ingress) or not is_ours(ingress, ctx.cache(INGRESS_CLASS).list()):
        return DONE
    wanted = addresses(ctx.cache(SERVICE).get(PROXY_SERVICE))
    now = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if now != wanted:
        status = {"loadBalancer": {"ingress": wanted}}
        await ctx.client.patch(INGRESS, key, {"status": status}, subresource="status")
        ctx.event(ingress, "Normal", "Sync", "Scheduled for sync")
    return DONE
