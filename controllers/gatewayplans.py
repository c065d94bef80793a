"""What Gateways and HTTPRoutes come to, worked out once for each state of the cluster and read by both controllers."""

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.gateway_routes import Plan, Verdict, World, build, is_ours
from miniplane.kinds import GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, NAMESPACE, REFERENCE_GRANT, SECRET, SERVICE
from miniplane.runtime import Context

INPUTS = (GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, REFERENCE_GRANT, SERVICE, SECRET, NAMESPACE)
"""The kinds that a plan depends on."""


class Plans:
    """The plans of our Gateways."""

    def __init__(self) -> None:
        self._state: tuple[int, ...] = ()
        self._plans: dict[Key, Plan] = {}

    def of(self, key: Key, ctx: Context) -> Plan | None:
        """A Gateway's plan; None if it is not there or not ours."""
        state = tuple(ctx.cache(kind).revision for kind in INPUTS)
        if state != self._state:
            self._state, self._plans = state, {}
        gateway = ctx.cache(GATEWAY).get(key)
        if gateway is None or not serves(gateway, ctx):
            return None
        if key not in self._plans:
            world = World(
                routes=ctx.cache(HTTP_ROUTE).list(),
                grants=ctx.cache(REFERENCE_GRANT).list(),
                service=ctx.cache(SERVICE).get,
                slices=lambda _: (),
                namespace=lambda name: ctx.cache(NAMESPACE).get(Key("", name)),
                secret=ctx.cache(SECRET).get,
            )
            self._plans[key] = build(gateway, world)
        return self._plans[key]


def serves(gateway: Object, ctx: Context) -> bool:
    """Whether a Gateway is ours."""
    name = (gateway.get("spec") or {}).get("gatewayClassName") or ""
    return not meta.is_deleted(gateway) and is_ours(ctx.cache(GATEWAY_CLASS).get(Key("", name)))


def conditions(old: list[Object], verdicts: tuple[Verdict, ...], generation: int, ctx: Context) -> list[Object]:
    """Conditions with these verdicts in them; times stay where nothing has changed."""
    made = [dict(item) for item in old]
    for verdict in verdicts:
        new = {
            "type": verdict.type,
            "status": "True" if verdict.is_true else "False",
            "reason": verdict.reason,
            "message": verdict.message,
            "observedGeneration": generation,
        }
        meta.set_condition(made, new, ctx.clock.now())
    return made
