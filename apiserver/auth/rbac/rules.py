"""Policy rules: what they allow, and whether one set of them holds all that another does. Pure.

Upstream: pkg/registry/rbac/validation and pkg/apis/rbac/v1/evaluation_helpers.go; the wildcards mean the same here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from miniplane.api.kind import Object

from ..identity import Action

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role, its lists as sets. An empty `names` stands for every name."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    """Plurals, `pods/log` for a subresource, `*/scale` for one of every resource."""
    names: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, rule: Object) -> "Rule":
        """Of an element of a role's `rules`."""
        keys = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(frozenset(rule.get(key) or ()) for key in keys))

    def to_json(self) -> Object:
        """The element of `rules`, its lists sorted."""
        lists = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {key: sorted(values) for key, values in lists.items() if values}

    def covers_resource(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Whether the rule is about such requests, whatever the object's name."""
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        if group not in self.groups and ALL not in self.groups:
            return False
        resources = self.resources
        if ALL in resources:
            return True
        if subresource:
            return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources
        return resource in resources

    def covers_path(self, verb: str, path: str) -> bool:
        """Whether the rule allows a verb on a path that is no resource."""
        return (verb in self.verbs or ALL in self.verbs) and any(_covers_url(url, path) for url in self.urls)

    def allows(self, action: Action) -> bool:
        """Whether the rule allows an action."""
        if not action.resource:
            return self.covers_path(action.verb, action.path)
        if self.names and action.name not in self.names:
            return False
        return self.covers_resource(action.verb, action.group, action.resource, action.subresource)


EVERYTHING = (
    Rule(frozenset((ALL,)), frozenset((ALL,)), frozenset((ALL,))),
    Rule(frozenset((ALL,)), urls=frozenset((ALL,))),
)
"""The rules of whoever may do all."""


def _covers_url(url: str, path: str) -> bool:
    return url in (ALL, path) or (url.endswith(ALL) and path.startswith(url.rstrip(ALL)))


def parse(rules: Any) -> tuple[Rule, ...]:
    """A role's rules."""
    return tuple(Rule.parse(rule) for rule in rules or ())


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, each of one verb on one thing, that no single rule of `held` covers."""
    return [part for rule in wanted for part in _parts(rule) if not any(_holds(owner, part) for owner in held)]


def _parts(rule: Rule) -> Iterator[Rule]:
    names: Sequence[frozenset[str]] = [frozenset((name,)) for name in sorted(rule.names)] or [frozenset()]
    for group, resource, verb in product(sorted(rule.groups), sorted(rule.resources), sorted(rule.verbs)):
        for name in names:
            yield Rule(frozenset((verb,)), frozenset((group,)), frozenset((resource,)), name)
    for url, verb in product(sorted(rule.urls), sorted(rule.verbs)):
        yield Rule(frozenset((verb,)), urls=frozenset((url,)))


def _holds(owner: Rule, part: Rule) -> bool:
    """Whether a rule covers a part. A star of the part needs a star of the owner."""
    if not (ALL in owner.verbs or part.verbs <= owner.verbs):
        return False
    if part.urls:
        return all(any(_covers_url(url, wanted) for url in owner.urls) for wanted in part.urls)
    if not (ALL in owner.groups or part.groups <= owner.groups):
        return False
    if owner.names and not (part.names and part.names <= owner.names):
        return False
    return all(_holds_resource(owner.resources, resource) for resource in part.resources)


def _holds_resource(resources: frozenset[str], wanted: str) -> bool:
    if ALL in resources or wanted in resources:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def compact(parts: Iterable[Rule]) -> list[Rule]:
    """Parts of one thing with different verbs, joined again."""
    verbs: dict[Rule, set[str]] = {}
    for part in parts:
        key = Rule(frozenset(), part.groups, part.resources, part.names, part.urls)
        verbs.setdefault(key, set()).update(part.verbs)
    return [Rule(frozenset(words), key.groups, key.resources, key.names, key.urls) for key, words in verbs.items()]


def describe(rule: Rule) -> str:
    """A rule in upstream's short form: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    parts = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in parts if values) + "}"


def quoted(values: Iterable[str]) -> str:
    """Texts as Go prints a list of them with %q."""
    return "[" + " ".join(f'"{value}"' for value in sorted(values)) + "]"
