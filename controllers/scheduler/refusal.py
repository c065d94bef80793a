"""Why a pod may not run on a node, and the sentence that sums it up over all nodes."""

from collections import Counter
from collections.abc import Callable, Iterable

from .nodes import NodeInfo


class Refusal:
    """The reasons of one filter. `resolvable`: whether it would help if pods of lower priority left the node."""

    __slots__ = ("reasons", "resolvable")

    def __init__(self, *reasons: str, resolvable: bool = True) -> None:
        self.reasons, self.resolvable = reasons, resolvable


Check = Callable[[NodeInfo], Refusal | None]


def summary(total: int, refusals: Iterable[Refusal]) -> str:
    """Upstream's sentence, such as `0/3 nodes are available: 3 Insufficient cpu.`, as it is."""
    counts = Counter(reason for refusal in refusals for reason in refusal.reasons)
    if not total:
        return "no nodes available to schedule pods"
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    return f"0/{total} nodes are available: {told}."
