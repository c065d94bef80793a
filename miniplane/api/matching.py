"""Which requests an admission policy or webhook is about: rules of operations and resources, and selectors. Pure.

Upstream: k8s.io/apiserver, pkg/admission/plugin/webhook/predicates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from miniplane.api.kind import Kind, Object
from miniplane.api.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Question:
    """A write that may be meant. `labels` are those of its objects, new and old; either may match."""

    operation: str
    kind: Kind
    subresource: str
    name: str
    namespace: str
    labels: tuple[Mapping[str, str], ...]
    namespace_labels: Mapping[str, str] | None
    """None for what is in no namespace; a Namespace itself is in itself."""


def rule_matches(rule: Object, question: Question) -> bool:
    """Whether one rule takes a request."""
    kind = question.kind
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") is not kind.namespaced:
        return False
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("operations"), question.operation)
        and _has(rule.get("apiGroups"), kind.group)
        and _has(rule.get("apiVersions"), kind.version)
        and any(_resource(word, question) for word in rule.get("resources") or ())
        and (not names or question.name in names)
    )


def _has(words: Iterable[str] | None, word: str) -> bool:
    found = [*(words or ())]
    return "*" in found or word in found


def _resource(word: str, question: Question) -> bool:
    """`pods`, `pods/status`, `pods/*`, `*`, `*/scale`, `*/*`; without a slash it means no subresource."""
    plural, slash, part = word.partition("/")
    if plural not in ("*", question.kind.plural):
        return False
    return part in ("*", question.subresource) if slash else not question.subresource


def selected(match: Object, question: Question) -> bool:
    """Whether the selectors of namespaces and objects take a request."""
    by_namespace, labels_of = match.get("namespaceSelector"), question.namespace_labels
    if by_namespace and labels_of is not None and not LabelSelector.from_object(by_namespace).matches(labels_of):
        return False
    by_object = match.get("objectSelector")
    if not by_object:
        return True
    selector = LabelSelector.from_object(by_object)
    return any(selector.matches(labels) for labels in question.labels)


def matches(match: Object, question: Question, *, no_rules: bool = False) -> bool:
    """Whether `matchConstraints` or `matchResources` take a request; `no_rules` is the answer where there are none."""
    if not selected(match, question):
        return False
    if any(rule_matches(rule, question) for rule in match.get("excludeResourceRules") or ()):
        return False
    rules = match.get("resourceRules") or ()
    return any(rule_matches(rule, question) for rule in rules) if rules else no_rules
