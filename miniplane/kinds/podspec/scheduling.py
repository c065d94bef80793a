"""Rules of where a pod may run: tolerations, affinity, spreading, gates."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_label_value, is_qualified_name
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, invalid, required
from miniplane.kinds.fields import (
    elements,
    entries,
    is_set,
    named,
    named_required,
    number,
    one_of,
    section,
    shown,
    text,
)
from miniplane.kinds.shared import selector_errors

EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_WEIGHT_LIMIT = 100


def toleration_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a pod's tolerations; `path` is the pod spec's."""
    for index, toleration in enumerate(entries(spec, "tolerations")):
        here = path / "tolerations" @ index
        key, operator = text(toleration, "key"), text(toleration, "operator")
        value, effect = text(toleration, "value"), text(toleration, "effect")
        if key:
            yield from named(here / "key", key, is_qualified_name)
        elif operator != "Exists":
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(here / "operator", operator, words)
        if is_set(toleration, "tolerationSeconds") and effect != "NoExecute":
            yield invalid(here / "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator == "Exists":
            if value:
                words = "value must be empty when `operator` is 'Exists'"
                yield invalid(here / "operator", shown(toleration), words)
        else:
            yield from one_of(here / "operator", operator, ("Equal", "Exists"), needed=False)
            yield from named(here / "operator", value, is_label_value)
        yield from one_of(here / "effect", effect, EFFECTS, needed=False)


def taint_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a node's taints; upstream looks for them below `path`, the metadata."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(entries(spec, "taints")):
        here = path / "taints" @ index
        key, effect = text(taint, "key"), text(taint, "effect")
        yield from named(here / "key", key, is_qualified_name)
        yield from named(here / "value", text(taint, "value"), is_label_value)
        yield from one_of(here / "effect", effect, EFFECTS)
        if (key, effect) in seen:
            yield duplicate(here, shown(taint))
        seen.add((key, effect))


def affinity_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a pod's affinity and anti-affinity; `path` is the pod spec's."""
    affinity, path = section(spec, "affinity"), path / "affinity"
    node, here = section(affinity, "nodeAffinity"), path / "nodeAffinity"
    hard, soft = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
    if is_set(node, hard):
        terms = entries(section(node, hard), "nodeSelectorTerms")
        if not terms:
            yield required(here / hard / "nodeSelectorTerms", "must have at least one node selector term")
        for index, term in enumerate(terms):
            yield from _node_term(here / hard / "nodeSelectorTerms" @ index, term)
    for index, item in enumerate(entries(node, soft)):
        yield from _weight(here / soft @ index / "weight", number(item, "weight"))
        yield from _node_term(here / soft @ index / "preference", section(item, "preference"))
    for key in ("podAffinity", "podAntiAffinity"):
        rules, here = section(affinity, key), path / key
        for index, term in enumerate(entries(rules, hard)):
            yield from _pod_term(here / hard @ index, term)
        for index, item in enumerate(entries(rules, soft)):
            yield from _weight(here / soft @ index / "weight", number(item, "weight"))
            yield from _pod_term(here / soft @ index / "podAffinityTerm", section(item, "podAffinityTerm"))


def _weight(path: str, weight: int) -> Iterator[FieldError]:
    if not 0 < weight <= _WEIGHT_LIMIT:
        yield invalid(path, weight, f"must be in the range 1-{_WEIGHT_LIMIT}")


def _node_term(path: Path, term: Object) -> Iterator[FieldError]:
    for key in ("matchExpressions", "matchFields"):
        for index, item in enumerate(entries(term, key)):
            yield from _node_requirement(path / key @ index, item)


def _node_requirement(path: Path, item: Object) -> Iterator[FieldError]:
    operator, values = text(item, "operator"), elements(item, "values")
    if operator in ("In", "NotIn"):
        if not values:
            yield required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(path / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required(path / "values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid(path / "operator", operator, "not a valid selector operator")
    yield from named(path / "key", text(item, "key"), is_qualified_name)


def _pod_term(path: Path, term: Object) -> Iterator[FieldError]:
    yield from selector_errors(path, term, "labelSelector")
    yield from selector_errors(path, term, "namespaceSelector")
    if topology := text(term, "topologyKey"):
        yield from named(path / "topologyKey", topology, is_qualified_name)
    else:
        yield required(path / "topologyKey", "can not be empty")


def spreading_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a pod's gates and topology spread constraints; `path` is the pod spec's."""
    for key, word in (("readinessGates", "conditionType"), ("schedulingGates", "name")):
        for index, gate in enumerate(entries(spec, key)):
            yield from named_required(path / key @ index / word, text(gate, word), is_qualified_name)
    for index, constraint in enumerate(entries(spec, "topologySpreadConstraints")):
        here = path / "topologySpreadConstraints" @ index
        if (skew := number(constraint, "maxSkew")) <= 0:
            yield invalid(here / "maxSkew", skew, "must be greater than zero")
        if not text(constraint, "topologyKey"):
            yield required(here / "topologyKey", "can not be empty")
        yield from one_of(
            here / "whenUnsatisfiable", text(constraint, "whenUnsatisfiable"), ("DoNotSchedule", "ScheduleAnyway")
        )
        yield from selector_errors(here, constraint, "labelSelector")
