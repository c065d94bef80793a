"""metadata.generation: how often what an object asks for has changed.

Upstream's strategies count one by one; the rule is the same for all that do, so it stands here once. The kinds that
do not count have no generation, as upstream.
"""

from miniplane.api.kind import Kind, Object

_ASIDE = frozenset(("metadata", "status"))


def count(kind: Kind, new: Object, old: Object | None) -> None:
    """Set `metadata.generation` of a new or changed object."""
    if not kind.strategy.counts_generation:
        return
    if old is None:
        new["metadata"]["generation"] = 1
        return
    before = old["metadata"].get("generation") or 1
    changed = any(new.get(name) != old.get(name) for name in (new.keys() | old.keys()) - _ASIDE)
    new["metadata"]["generation"] = before + 1 if changed else before
