"""HTTPRoutes are told what each Gateway of ours makes of them."""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.gateway_routes import CONTROLLER, GROUP
from miniplane.kinds import GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, NAMESPACE, REFERENCE_GRANT, SECRET, SERVICE
from miniplane.runtime import DONE, Context, On, Result

from .gatewayplans import Plans, conditions


def all_routes(_changed: Object, ctx: Context) -> Iterable[Key]:
    """Every route: each may refer to what has changed, or be kept from it."""
    return [meta.key_of(route) for route in ctx.cache(HTTP_ROUTE).list()]


class Routes:
    """The reconciler."""

    def __init__(self) -> None:
        self._plans = Plans()

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring a route's status in line; what other controllers say in it stays."""
        route = ctx.cache(HTTP_ROUTE).get(key)
        if route is None or meta.is_deleted(route):
            return DONE
        old = (route.get("status") or {}).get("parents") or []
        new = [item for item in old if item.get("controllerName") != CONTROLLER]
        known = {_identity(item["parentRef"]): item.get("conditions") or [] for item in old if item not in new}
        generation = meta.metadata(route).get("generation") or 0
        for gateway in _gateways(route):
            plan = self._plans.of(gateway, ctx)
            for ref, verdicts in plan.parents.get(key, ()) if plan is not None else ():
                told = conditions(known.get(_identity(ref), []), verdicts, generation, ctx)
                new.append({"parentRef": ref, "controllerName": CONTROLLER, "conditions": told})
        if new != old:
            # With the revision that was read: another controller may write its own part at the same time.
            await ctx.client.update(HTTP_ROUTE, {**route, "status": {"parents": new}}, subresource="status")
        return DONE


def _identity(ref: Object) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(ref.items()))


def _gateways(route: Object) -> list[Key]:
    """The Gateways that a route refers to, each once."""
    found: dict[Key, None] = {}
    for ref in (route.get("spec") or {}).get("parentRefs") or ():
        if (ref.get("group", GROUP), ref.get("kind") or "Gateway") == (GROUP, "Gateway"):
            found[Key(ref.get("namespace") or meta.namespace(route), ref.get("name") or "")] = None
    return list(found)


def controller() -> On:
    """The controller."""
    on = On("gateway-routes")
    others = (GATEWAY, GATEWAY_CLASS, REFERENCE_GRANT, SERVICE, SECRET, NAMESPACE)
    on.reconcile(HTTP_ROUTE, also=[on.mapped(kind, all_routes) for kind in others])(Routes().reconcile)
    return on
