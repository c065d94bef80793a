"""Aggregation: a ClusterRole with an aggregation rule has the rules of all roles that its selectors choose.

Upstream: pkg/controller/clusterroleaggregation.
"""

from collections.abc import Iterable, Sequence

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.kinds import CLUSTER_ROLE
from miniplane.runtime import DONE, Context, On, Result

on = On("clusterrole-aggregation")


def gathered(role: Object, roles: Iterable[Object]) -> Sequence[Object]:
    """The rules that a role shall have: each once, those of roles in the order of their names."""
    selectors = [LabelSelector.from_object(item) for item in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    rules: list[Object] = []
    for other in sorted(roles, key=meta.name):
        if meta.name(other) == meta.name(role):
            continue
        if any(selector.matches(meta.labels(other)) for selector in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


def gatherers(_role: Object, ctx: Context) -> Iterable[Key]:
    """All roles that gather others: any change may concern them."""
    return [meta.key_of(role) for role in ctx.cache(CLUSTER_ROLE) if role.get("aggregationRule")]


@on.reconcile(CLUSTER_ROLE, also=[on.mapped(CLUSTER_ROLE, gatherers)])
async def aggregate(key: Key, ctx: Context) -> Result:
    """Bring one role's rules up to date."""
    role = ctx.cache(CLUSTER_ROLE).get(key)
    if role is None or not role.get("aggregationRule"):
        return DONE
    rules = gathered(role, ctx.cache(CLUSTER_ROLE))
    if rules != (role.get("rules") or []):
        await ctx.client.patch(CLUSTER_ROLE, key, {"rules": rules or None})
    return DONE
