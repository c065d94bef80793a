"""What is written down about which request: upstream's audit policy, first matching rule first.

Upstream: audit.k8s.io/v1 `Policy`; page "Auditing".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml

from .identity import Action, User

STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_RULE_KEYS = frozenset(
    (
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    )
)


class Level(IntEnum):
    """How much of a request is written down."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


LEVELS: Mapping[str, Level] = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
LEVEL_NAMES = {level: name for name, level in LEVELS.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says about a request."""

    level: Level
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    verdict: Verdict
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: Sequence[Mapping[str, Any]]
    urls: Sequence[str]

    def matches(self, user: User, action: Action) -> bool:
        """Whether the rule is about the request; an empty list stands for everything."""
        if self.users and user.name not in self.users:
            return False
        if self.groups and not self.groups & user.groups:
            return False
        if self.verbs and action.verb not in self.verbs:
            return False
        if not self.resources and not self.urls and not self.namespaces:
            return True
        if not action.resource:
            return any(_is_url(url, action.path) for url in self.urls)
        if self.namespaces and action.namespace not in self.namespaces:
            return False
        if self.urls and not self.resources:
            return False
        return not self.resources or any(_is_resource(item, action) for item in self.resources)


def _is_url(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


def _is_resource(item: Mapping[str, Any], action: Action) -> bool:
    if item.get("group", "") != action.group:
        return False
    names, resources = item.get("resourceNames") or (), item.get("resources") or ()
    if names and action.name not in names:
        return False
    whole = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    wanted = {whole, "*", f"*/{action.subresource}", f"{action.resource}/*"} if action.subresource else {whole, "*"}
    return not resources or bool(wanted & set(resources))


class Policy:
    """The rules in order."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = rules

    def judge(self, user: User, action: Action) -> Verdict:
        """What the first rule that matches says; nothing is written down without one."""
        return next((rule.verdict for rule in self._rules if rule.matches(user, action)), _NOTHING)


_NOTHING = Verdict(Level.NONE)


def parse(document: Any, name: str) -> Policy:
    """A policy of a document.

    Raises:
        ValueError: It is none; `name` says which.
    """
    if not isinstance(document, dict) or document.get("kind") != "Policy":
        raise ValueError(f"{name}: an audit policy is an object of kind Policy in audit.k8s.io/v1")
    if document.get("apiVersion") != "audit.k8s.io/v1":
        raise ValueError(f"{name}: apiVersion must be audit.k8s.io/v1")
    rules = document.get("rules") or ()
    if not rules:
        raise ValueError(f"{name}: rules: Required value")
    return Policy([_rule(rule, document, f"{name}: rules[{index}]") for index, rule in enumerate(rules)])


def _rule(rule: Mapping[str, Any], document: Mapping[str, Any], where: str) -> _Rule:
    if unknown := set(rule) - _RULE_KEYS:
        raise ValueError(f"{where}: unknown field {min(unknown)}")
    if rule.get("level") not in LEVELS:
        raise ValueError(f"{where}.level: must be one of {', '.join(LEVELS)}")
    stages = frozenset((*(rule.get("omitStages") or ()), *(document.get("omitStages") or ())))
    if wrong := stages - set(STAGES):
        raise ValueError(f"{where}.omitStages: {min(wrong)} is none of {', '.join(STAGES)}")
    if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
        raise ValueError(f"{where}: rules cannot apply to both regular resources and non-resource URLs")
    omit = rule.get("omitManagedFields")
    omit = document.get("omitManagedFields", False) if omit is None else omit
    users, groups, verbs, namespaces = (
        frozenset(rule.get(key) or ()) for key in ("users", "userGroups", "verbs", "namespaces")
    )
    return _Rule(
        Verdict(LEVELS[rule["level"]], stages, bool(omit)),
        users,
        groups,
        verbs,
        namespaces,
        resources=rule.get("resources") or (),
        urls=rule.get("nonResourceURLs") or (),
    )


EVERYTHING = parse(
    {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": [{"level": "Metadata"}]}, "the default policy"
)
"""Where no policy is given: who did what and how it ended, no bodies."""


def load(path: str) -> Policy:
    """The policy in a file, `EVERYTHING` for an empty path. Raises ValueError, OSError."""
    return parse(yaml.safe_load(Path(path).read_text()), path) if path else EVERYTHING
