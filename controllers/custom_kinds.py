"""The kinds that users have brought, as the controllers for objects of every kind need them: names and scope."""

from miniplane.api import meta
from miniplane.api.kind import Kind, Scope
from miniplane.kinds import CUSTOM_RESOURCE_DEFINITION, KINDS
from miniplane.runtime import Context

_BUILT_IN = frozenset((kind.group, kind.plural) for kind in KINDS)


def custom_kinds(ctx: Context) -> list[Kind]:
    """One served version of each established CustomResourceDefinition, but for kinds that are built in."""
    found = []
    for crd in ctx.cache(CUSTOM_RESOURCE_DEFINITION):
        spec = crd["spec"]
        served = [version["name"] for version in spec["versions"] if version.get("served")]
        plural = spec["names"]["plural"]
        if served and meta.is_condition_true(crd, "Established") and (spec["group"], plural) not in _BUILT_IN:
            kind = spec["names"]["kind"]
            scope = Scope(spec["scope"])
            found.append(Kind(group=spec["group"], version=served[0], kind=kind, plural=plural, scope=scope))
    return found
