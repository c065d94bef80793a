"""Which nodes a pod asks for: `nodeSelector` and required node affinity. Upstream: k8s.io/component-helpers."""

from collections.abc import Mapping

from miniplane.api.kind import Object


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    """One requirement of a node selector term: as label selectors, with Gt and Lt for whole numbers."""
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    value = labels.get(key)
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if operator == "NotIn":
        return value not in values
    if value is None:
        return False
    if operator == "In":
        return value in values
    try:
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    except ValueError:
        return False


def term_matches(term: Object, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node selector term takes the node of that name; an empty one takes none."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    by_name = {"metadata.name": name}
    return all(_matches(item, labels) for item in expressions) and all(_matches(item, by_name) for item in fields)


def selects(spec: Object, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a pod's spec takes the node: its selector matches, and one of the terms of its affinity."""
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    wanted = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = wanted.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = () if required is None else required.get("nodeSelectorTerms") or ()
    return required is None or any(term_matches(term, name, labels) for term in terms)
