"""The indexed authoriser says what a page that reads all roles and bindings says."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.auth.identity import Action, User
from apiserver.auth.rbac.index import BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, ROLES, Rbac
from apiserver.auth.rbac.rules import missing, parse
from apiserver.store import Limits, Store, open_store
from apiserver.store.base import Draft, Put, Remove, ResourceKey

VERBS, GROUPS = ("get", "list", "*"), ("", "apps", "*")
RESOURCES = ("pods", "pods/log", "pods/scale", "*/scale", "*", "deployments")
NAMES, NAMESPACES = ("a", "b"), ("one", "two")
PATHS = ("/api", "/api/v1", "/metrics", "/api/*", "*")


def some(values: tuple[str, ...], *, least: int = 1) -> st.SearchStrategy[list[str]]:
    """Some of the values."""
    return st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True)


RESOURCE_RULES = st.fixed_dictionaries(
    {"verbs": some(VERBS), "apiGroups": some(GROUPS), "resources": some(RESOURCES)},
    optional={"resourceNames": some(NAMES)},
)
PATH_RULES = st.fixed_dictionaries({"verbs": some(VERBS), "nonResourceURLs": some(PATHS)})
RULES = st.lists(st.one_of(RESOURCE_RULES, RESOURCE_RULES, PATH_RULES), max_size=3)
SUBJECTS = st.lists(
    st.sampled_from(
        (
            {"kind": "User", "name": "ann"},
            {"kind": "Group", "name": "dev"},
            {"kind": "ServiceAccount", "name": "bot"},
            {"kind": "ServiceAccount", "name": "bot", "namespace": "one"},
        )
    ),
    max_size=2,
)
REFERENCES = st.builds(
    lambda kind, name: {"kind": kind, "name": name}, st.sampled_from(("Role", "ClusterRole")), st.sampled_from(NAMES)
)
KEYS = st.one_of(
    st.builds(ResourceKey, st.sampled_from((ROLES, BINDINGS)), st.sampled_from(NAMESPACES), st.sampled_from(NAMES)),
    st.builds(ResourceKey, st.sampled_from((CLUSTER_ROLES, CLUSTER_BINDINGS)), st.just(""), st.sampled_from(NAMES)),
)
OBJECTS = st.fixed_dictionaries({"rules": RULES, "subjects": SUBJECTS, "roleRef": REFERENCES})
USERS = st.sampled_from(
    (
        User("ann", frozenset({"system:authenticated"})),
        User("bob", frozenset({"dev"})),
        User("system:serviceaccount:one:bot"),
        User("system:serviceaccount:two:bot", frozenset({"dev"})),
    )
)
ACTIONS = st.one_of(
    st.builds(
        Action,
        st.sampled_from(("get", "list")),
        st.sampled_from(("", "apps")),
        st.sampled_from(("pods", "deployments")),
        st.sampled_from(("", "log", "scale")),
        st.sampled_from(("", "one", "two")),
        st.sampled_from(("", "a", "b", "c")),
    ),
    st.builds(lambda verb, path: Action(verb, path=path), st.sampled_from(("get", "put")), st.sampled_from(PATHS[:3])),
)
STEPS = st.lists(st.one_of(st.tuples(KEYS, st.none() | OBJECTS), st.tuples(USERS, ACTIONS)), max_size=30)


def naive(objects: dict[ResourceKey, Any], user: User, action: Action) -> bool:
    """Whether the user may, straight from the objects."""
    for key, binding in objects.items():
        if key.resource not in (BINDINGS, CLUSTER_BINDINGS) or key.namespace not in ("", action.namespace):
            continue
        if key.resource == BINDINGS and not key.namespace:
            continue
        if not any(_is(subject, user, key.namespace) for subject in binding["subjects"]):
            continue
        reference = binding["roleRef"]
        where = ("", CLUSTER_ROLES) if reference["kind"] == "ClusterRole" else (key.namespace, ROLES)
        role = objects.get(ResourceKey(where[1], where[0], reference["name"]), {"rules": []})
        if any(_allows(rule, action) for rule in role["rules"]):
            return True
    return False


def _is(subject: Any, user: User, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case _:
            place = subject.get("namespace") or namespace
            return bool(place) and user.name == f"system:serviceaccount:{place}:{subject['name']}"


def _allows(rule: Any, action: Action) -> bool:
    if not {action.verb, "*"} & set(rule["verbs"]):
        return False
    if not action.resource:
        urls = rule.get("nonResourceURLs", ())
        return any(u in ("*", action.path) or (u[-1] == "*" and action.path.startswith(u[:-1])) for u in urls)
    if not {action.group, "*"} & set(rule.get("apiGroups", ())):
        return False
    whole = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    wanted = {"*", whole, *([f"*/{action.subresource}"] if action.subresource else [])}
    names = rule.get("resourceNames")
    return bool(wanted & set(rule.get("resources", ()))) and (not names or action.name in names)


async def _play(store: Store, steps: list[Any]) -> None:
    rbac, objects = Rbac(store), dict[ResourceKey, Any]()
    for first, second in steps:
        if isinstance(first, User):
            expected = naive(objects, first, second)
            assert rbac.allows(first, second) is expected
            assert rbac.explain(first, second).startswith("RBAC: allowed by ") is expected
        elif second is not None:
            objects[first] = second
            await store.commit([Put(first, Draft({"metadata": {}, **second}), None)])
        elif first in objects:
            del objects[first]
            await store.commit([Remove(first, None)])


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_the_index_agrees_with_the_oracle(steps: list[Any]) -> None:
    """Whatever is written, changed and removed in whatever order, each answer is that of the objects as they stand."""

    async def play() -> None:
        async with open_store("memory://", limits=Limits(window_events=4)) as store:
            await _play(store, steps)

    asyncio.run(play())


@settings(max_examples=300, deadline=None)
@given(held=RULES, wanted=RULES, action=ACTIONS)
def test_covered_rules_allow_nothing_new(held: list[Any], wanted: list[Any], action: Action) -> None:
    """If nothing of a set of rules is missing in another, every action that it allows is allowed by the other."""
    owner, other = parse(held), parse(wanted)
    assert missing(owner, owner) == []
    if not missing(owner, other) and any(rule.allows(action) for rule in other):
        assert any(rule.allows(action) for rule in owner)
