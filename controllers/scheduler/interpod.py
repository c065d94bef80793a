"""Pod affinity and anti-affinity: near these pods, away from those, where "near" is a label of nodes.

Upstream: pkg/scheduler/framework/plugins/interpodaffinity.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from miniplane.api.kind import Object
from miniplane.api.selectors import LabelSelector

from .demand import Demand
from .nodes import NodeInfo, View
from .refusal import Check, Refusal
from .spread import selector_of

Place = tuple[str, str]
"""A label of nodes and its value."""


@dataclass(frozen=True, slots=True)
class Term:
    """An affinity term of a pod, ready to be matched with other pods. `namespaces` None stands for all."""

    key: str
    selector: LabelSelector
    namespaces: frozenset[str] | None

    @classmethod
    def of(cls, item: Object, demand: Demand, view: View) -> "Term":
        """From its object: the namespaces named and those selected together; the pod's own if it speaks of none."""
        return cls(item["topologyKey"], selector_of(item, demand.labels), _namespaces(item, demand, view))

    def takes(self, other: Demand) -> bool:
        """Whether a pod is one that the term speaks of."""
        named = self.namespaces is None or other.namespace in self.namespaces
        return named and self.selector.matches(other.labels)


def _namespaces(item: Object, demand: Demand, view: View) -> frozenset[str] | None:
    names, wanted = frozenset(item.get("namespaces") or ()), item.get("namespaceSelector")
    if wanted is None:
        return names or frozenset((demand.namespace,))
    if not wanted:
        return None
    selector = LabelSelector.from_object(wanted)
    return names | {name for name, labels in view.namespaces.items() if selector.matches(labels)}


def terms(items: Iterable[Object], demand: Demand, view: View) -> Sequence[Term]:
    """Terms from their objects."""
    return [Term.of(item, demand, view) for item in items]


def places(term_list: Sequence[Term], view: View, takes: Callable[[Term, Demand], bool]) -> Counter[Place]:
    """Where pods that a term takes run: how many per label and value."""
    found: Counter[Place] = Counter()
    for info in view.nodes:
        for other in info.pods.values():
            for term in term_list:
                if term.key in info.labels and takes(term, other):
                    found[(term.key, info.labels[term.key])] += 1
    return found


def _is_in(info: NodeInfo, found: Mapping[Place, int], key: str) -> bool:
    value = info.labels.get(key)
    return value is not None and found.get((key, value), 0) > 0


def existing_anti_affinity(demand: Demand, view: View) -> Check | None:
    """Pods that run somewhere may have said that they want none like this one near them."""
    refusal = Refusal("node(s) didn't satisfy existing pods anti-affinity rules")
    taken: set[Place] = set()
    for other in view.repelling.values():
        place = view.place_of(other.uid)
        for term in terms(other.required("podAntiAffinity"), other, view):
            if place is not None and term.key in place.labels and term.takes(demand):
                taken.add((term.key, place.labels[term.key]))
    if not taken:
        return None
    return lambda info: refusal if any(info.labels.get(key) == value for key, value in taken) else None


def anti_affinity(demand: Demand, view: View) -> Check | None:
    """Away from the pods that it names."""
    wanted = terms(demand.required("podAntiAffinity"), demand, view)
    if not wanted:
        return None
    refusal = Refusal("node(s) didn't match pod anti-affinity rules")
    found = places(wanted, view, Term.takes)
    return lambda info: refusal if any(_is_in(info, found, term.key) for term in wanted) else None


def affinity(demand: Demand, view: View) -> Check | None:
    """Near pods that match all of its terms; the first of a group that only wants its own kind may go anywhere."""
    wanted = terms(demand.required("podAffinity"), demand, view)
    if not wanted:
        return None
    refusal = Refusal("node(s) didn't match pod affinity rules", resolvable=False)
    found = places(wanted, view, lambda _term, other: all(term.takes(other) for term in wanted))
    is_first = not found and all(term.takes(demand) for term in wanted)

    def check(info: NodeInfo) -> Refusal | None:
        if any(term.key not in info.labels for term in wanted):
            return refusal
        return None if is_first or all(_is_in(info, found, term.key) for term in wanted) else refusal

    return check
