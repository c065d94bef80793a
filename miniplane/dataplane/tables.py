"""A node's compiled rules for people: the part that one Service or policy makes, and all of it in words.

`render_nft` prints the same ruleset for the kernel; here addresses get their owners' names and marks their meaning.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from miniplane.api import meta
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.nft_words import value_word
from miniplane.dataplane.parties import DEFAULT_NAMESPACE, Parties
from miniplane.dataplane.render_nft import render, rule_words
from miniplane.dataplane.ruleset import (
    Chain,
    Element,
    Goto,
    Jump,
    NamedSet,
    Origin,
    Plain,
    Range,
    Ruleset,
    Table,
    Type,
    Value,
)
from miniplane.dataplane.tierviews import KINDS as CLUSTER_POLICIES

GROUPS = "pod-groups"
"""The map from each pod's address to the number of its group."""
TITLES = {
    "pod-ranges": "where pods are",
    "inside": "what pods reach under their own address",
    "service-ranges": "where Services are",
    "cluster-ips": "the addresses of Services",
    "services": "which frontend chooses among which backends",
    "services-local": "the same for clients outside, on this node only (externalTrafficPolicy Local)",
    "masqueraded": "frontends whose clients get this node's address",
    "no-endpoints": "frontends that nothing stands behind: refused",
    "restricted": "frontends with source ranges",
    "source-ranges": "who may use them",
    "endpoints": "the backends by number",
    "choices": "the names of choices, for client affinity",
    "affinity": "which client has which backend; filled as connections come",
    "here": "the addresses of this node's pods",
    "self": "a pod reaches itself",
    GROUPS: "pods that no policy can tell apart have the same number",
    "isolated-ingress": "pods that let in only what is allowed",
    "isolated-egress": "pods that let out only what is allowed",
    "ingress-groups": "who may come in, by labels",
    "ingress-blocks": "who may come in, by address",
    "egress-groups": "where pods may go, by labels",
    "egress-blocks": "where pods may go, by address",
    "tiered-ingress": "pods whose ingress cluster-wide policies concern",
    "tiered-egress": "pods whose egress cluster-wide policies concern",
    "admin-ingress-groups": "what the Admin tier says of who comes in, by labels",
    "admin-ingress-blocks": "the same by address",
    "admin-egress-groups": "what the Admin tier says of where pods go, by labels",
    "admin-egress-blocks": "the same by address",
    "baseline-ingress-groups": "what the Baseline tier says of who comes in, by labels",
    "baseline-ingress-blocks": "the same by address",
    "baseline-egress-groups": "what the Baseline tier says of where pods go, by labels",
    "baseline-egress-blocks": "the same by address",
}


FORMS = ("nft", "explain")


def shown(
    ruleset: Ruleset,
    cluster: Cluster,
    *,
    service: str = "",
    policy: str = "",
    form: str = "nft",
    namespace: str = DEFAULT_NAMESPACE,
) -> str:
    """A node's rules, or what one Service or policy (`[namespace/]name`) makes of them, as text.

    Raises LookupError for an object that is not there, and ValueError for a question that makes no sense.
    """
    if form not in FORMS:
        raise ValueError(f"{form!r} is no form: {' or '.join(FORMS)}")
    if service and policy:
        raise ValueError("a Service or a policy, not both")
    if service:
        ruleset = of_service(ruleset, cluster, _key(cluster, "Service", service, namespace))
    if policy:
        names = {meta.Key("", policy)} & {key for kind in CLUSTER_POLICIES for key in cluster.objects.get(kind, {})}
        ruleset = of_policy(ruleset, names.pop() if names else _key(cluster, "NetworkPolicy", policy, namespace))
    return render(ruleset) if form == "nft" else "\n".join(explained(ruleset, cluster)) + "\n"


def _key(cluster: Cluster, kind: str, text: str, namespace: str) -> meta.Key:
    where, _, name = text.rpartition("/")
    key = meta.Key(where or namespace, name)
    if key not in cluster.objects[kind]:
        raise LookupError(f'{kind} "{key}" not found')
    return key


def of_service(ruleset: Ruleset, cluster: Cluster, key: meta.Key) -> Ruleset:
    """What one Service makes: its elements, its slices', and the chains that they lead to."""
    slices = {
        other
        for other, item in cluster.objects["EndpointSlice"].items()
        if other.namespace == key.namespace and meta.labels(item).get(SERVICE_NAME) == key.name
    }

    def is_its(origin: Origin) -> bool:
        owner = meta.Key(origin.namespace, origin.name)
        return (origin.kind == "Service" and owner == key) or (origin.kind == "EndpointSlice" and owner in slices)

    return _select(ruleset, is_its)


def of_policy(ruleset: Ruleset, key: meta.Key) -> Ruleset:
    """What one policy makes, and the groups of pods that it speaks of."""
    return _select(ruleset, lambda origin: origin.kind.endswith("NetworkPolicy") and origin[1:3] == key)


def _select(ruleset: Ruleset, chosen: Callable[[Origin], bool]) -> Ruleset:
    tables = (_part(table, chosen) for table in ruleset.tables)
    return Ruleset(tuple(table for table in tables if table.sets))


def _part(table: Table, chosen: Callable[[Origin], bool]) -> Table:
    sets = [
        replace(item, elements=tuple(element for element in item.elements if any(map(chosen, element.origins))))
        for item in table.sets
    ]
    sets = [item for item in sets if item.elements]
    marks = {
        value
        for item in sets
        for element in item.elements
        for value, kind in zip(element.key, item.types, strict=True)
        if _is_group(item) and kind is Type.MARK
    }
    if marks:
        groups = table.set(GROUPS)
        named = tuple(item for item in groups.elements if any(_covers(mark, item) for mark in marks))
        sets.insert(0, replace(groups, elements=named))
    targets = {
        element.data.chain for item in sets for element in item.elements if isinstance(element.data, Goto | Jump)
    }
    chains = tuple(chain for chain in table.chains if chain.name in targets)
    return replace(table, sets=tuple(sets), chains=chains)


def _covers(mark: Value, group: Element) -> bool:
    """Whether a number, or a range of neighbours, means an element of the map of groups."""
    low, high = mark if isinstance(mark, Range) else (mark, mark)
    return isinstance(group.data, tuple) and low <= group.data[0] <= high


def _is_group(item: NamedSet) -> bool:
    return item.name.endswith("-groups")


def explained(ruleset: Ruleset, cluster: Cluster) -> list[str]:
    """All of it in words: each set's elements with their reasons, then the chains."""
    parties = Parties(cluster)
    lines: list[str] = []
    for table in ruleset.tables:
        groups = _groups(table, parties)
        for item in table.sets:
            title = TITLES.get(item.name, "")
            lines += [f"{item.name}{f': {title}' if title else ''}"]
            rows = [_row(element, item, table, parties, groups) for element in item.elements]
            lines += [*_aligned(rows), ""] if rows else ["  (empty)", ""]
        for chain in table.chains:
            lines += [*_chain(chain, table), ""]
    return lines[:-1]


def _groups(table: Table, parties: Parties) -> dict[int, str]:
    """`{number: pods}`; 0 is whoever is no pod."""
    found: dict[int, list[str]] = {}
    item = next((item for item in table.sets if item.name == GROUPS), None)
    for element in item.elements if item is not None else ():
        if isinstance(element.data, tuple) and isinstance(element.key[0], int):
            found.setdefault(element.data[0], []).append(_named(element.key[0], table, parties))
    return {0: "no pod"} | {number: ", ".join(names) for number, names in found.items()}


def _named(number: int, table: Table, parties: Parties) -> str:
    address = IPv4Address(number) if table.family == "ip" else IPv6Address(number)
    label = parties.label(address)
    return f"{address} ({label})" if label else str(address)


def _row(
    element: Element, item: NamedSet, table: Table, parties: Parties, groups: dict[int, str]
) -> tuple[str, str, str]:
    def words(values: Iterable[Value], types: Iterable[Type]) -> str:
        shown = []
        for value, kind in zip(values, types, strict=True):
            if kind is Type.ADDRESS and isinstance(value, int):
                shown.append(_named(value, table, parties))
            elif kind is Type.MARK and isinstance(value, int):
                shown.append(f"[{groups.get(value, value)}]" if _is_group(item) else f"#{value}")
            elif kind is Type.MARK and isinstance(value, Range) and _is_group(item):
                several = [name for number, name in sorted(groups.items()) if value.low <= number <= value.high]
                shown.append(f"[{', '.join(several)}]")
            else:
                shown.append(_any(value, kind, table))
        return " ".join(shown)

    data: Any = element.data
    if isinstance(data, Plain | Goto | Jump):
        result = str(data.value) if isinstance(data, Plain) else data.chain
    else:
        result = words(data, item.data) if data is not None else ""
    because = " + ".join(map(str, element.origins))
    return words(element.key, item.types), result, because


def _any(value: Value, kind: Type, table: Table) -> str:
    """A range that leaves nothing out is said as such."""
    if isinstance(value, Range) and value.low == 0 and kind in (Type.PROTOCOL, Type.PORT):
        return "any protocol" if kind is Type.PROTOCOL else "any port"
    return value_word(value, kind, table.family)


def _aligned(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    keys, results = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, result, because in rows:
        arrow = f" → {result:<{results}}" if results else ""
        yield f"  {key:<{keys}}{arrow}  {because}".rstrip()


def _chain(chain: Chain, table: Table) -> Iterator[str]:
    hook = chain.hook
    yield f"chain {chain.name}{f', at {hook.name} ({hook.type}, priority {hook.priority})' if hook else ''}"
    for rule in chain.rules:
        words = rule_words(rule, table.family).rpartition(" comment ")[0]
        yield f"  {rule.origin}: {words}"
