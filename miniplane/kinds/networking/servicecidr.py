"""ServiceCIDR: a range that Services take their addresses from.

Upstream: networking.k8s.io/v1; concept page "Extending Service IP ranges".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.addresses import parse_block, valid_block
from miniplane.kinds.fields import section, shown, strings

_PATH = Path("spec") / "cidrs"
_FAMILIES = 2


def validate(service_cidr: Object, old: Object | None) -> Sequence[FieldError]:
    """One block for each family, exact to the bit; a second one may be added, nothing else changes."""
    blocks = strings(section(service_cidr, "spec"), "cidrs")
    if old is None:
        return list(_blocks(blocks))
    return list(_update(blocks, strings(section(old, "spec"), "cidrs")))


def _blocks(blocks: list[str]) -> Iterator[FieldError]:
    if not blocks:
        yield required(_PATH, "at least one CIDR required")
        return
    if len(blocks) > _FAMILIES:
        yield invalid(_PATH, shown({"CIDRs": blocks}), "may only hold up to 2 values")
        return
    parsed = [parse_block(block) for block in blocks]
    for index, (text, block) in enumerate(zip(blocks, parsed, strict=True)):
        if block is None:
            yield from valid_block(_PATH @ index, text)
        elif str(block) != text:
            yield invalid(_PATH @ index, text, f'must be in canonical form ("{block}")')
    families = [block.version for block in parsed if block]
    if len(families) > len(set(families)):
        words = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield invalid(_PATH, shown(blocks), words)


def _update(new: list[str], old: list[str]) -> Iterator[FieldError]:
    grows = len(old) == 1 and len(new) == _FAMILIES
    if len(new) != len(old) and not grows:
        yield invalid(_PATH, shown(new), "field is immutable")
        return
    for index, (after, before) in enumerate(zip(new, old, strict=False)):
        if after != before:
            yield invalid(_PATH @ index, after, "field is immutable")
    if grows:
        yield from _blocks(new)


def _cidrs(service_cidr: Object, _now: datetime) -> str:
    return ",".join(strings(section(service_cidr, "spec"), "cidrs"))


SERVICE_CIDR = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    columns=(NAME, Column("CIDRs", _cidrs, description="The blocks, one for each family."), AGE),
    subresources=(STATUS,),
    strategy=Strategy(validate=validate),
)
