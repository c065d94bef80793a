"""Expectations of who reaches whom, held against a cluster: what a team wants to be true, as data.

    - {from: shop/web, to: svc/shop/api, port: 80, expect: allow, reason: the shop front needs it}
    - {from: "shop/*", to: blog/db, port: 5432, protocol: TCP, expect: deny}

FROM and TO are words as `miniplane trace` takes them, lists of such, or patterns of pods (`namespace/name` with `*`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.explain import Trace, TraceHop
from miniplane.dataplane.journey import DELIVERED, Journeys

KEYS = {"from", "to", "port", "protocol", "expect", "reason"}
ALLOW, DENY = "allow", "deny"
_REFUSING = ("drop", "reject", "unresolved")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line, for one source and one target."""

    source: str
    target: str
    port: int | str
    protocol: str
    expect: str
    reason: str = ""

    def __str__(self) -> str:
        port = f" {self.port}" if self.port else ""
        return f"{self.expect} {self.source} → {self.target} {self.protocol}{port}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an expectation. `object`, `field` and `text` are the rule that decided."""

    expectation: Expectation
    verdict: str
    is_met: bool
    object: str
    field: str
    text: str
    lines: tuple[str, ...] = ()
    """The whole trace, for people."""

    def to_json(self) -> dict[str, Any]:
        """One element of the report."""
        wish = self.expectation
        return {
            "from": wish.source,
            "to": wish.target,
            "port": wish.port,
            "protocol": wish.protocol,
            "expect": wish.expect,
            "reason": wish.reason,
            "verdict": self.verdict,
            "met": self.is_met,
            "object": self.object,
            "field": self.field,
            "text": self.text,
        }


def parse(document: Any, pods: Sequence[str]) -> list[Expectation]:
    """The expectations of a document, patterns and lists expanded. Raises ValueError and names the entry."""
    if not isinstance(document, list):
        raise ValueError("expectations are a list of {from, to, port, protocol, expect, reason}")  # noqa: TRY004  input
    found: list[Expectation] = []
    for number, item in enumerate(document):
        if not isinstance(item, Mapping) or not {"from", "to", "expect"} <= item.keys():
            raise ValueError(f"[{number}]: from, to and expect are needed")
        if unknown := sorted(item.keys() - KEYS):
            raise ValueError(f"[{number}]: unknown: {', '.join(unknown)}")
        if item["expect"] not in (ALLOW, DENY):
            raise ValueError(f"[{number}].expect: {item['expect']!r} is neither allow nor deny")
        made = list(_expanded(item, pods))
        if not made:
            raise ValueError(f"[{number}]: no pods match {item['from']!r} and {item['to']!r}")
        found += made
    return found


def _expanded(item: Mapping[str, Any], pods: Sequence[str]) -> Iterator[Expectation]:
    for source in _ends(item["from"], pods):
        for target in _ends(item["to"], pods):
            if source != target:
                yield Expectation(
                    source,
                    target,
                    item.get("port") or 0,
                    item.get("protocol") or "TCP",
                    item["expect"],
                    item.get("reason") or "",
                )


def _ends(value: Any, pods: Sequence[str]) -> Iterator[str]:
    for word in map(str, value if isinstance(value, list) else [value]):
        if "*" in word and "://" not in word:
            yield from (f"pod/{pod}" for pod in pods if fnmatchcase(pod, word.removeprefix("pod/")))
        else:
            yield word


def check(objects: Iterable[Object], document: Any, *, network: Network, namespace: str = "default") -> list[Finding]:
    """Hold expectations against a complete world (`offline.build` makes one).

    An end or name that is not there meets no expectation: what does not exist is not denied.
    """
    whole = list(objects)
    pods = sorted(str(meta.key_of(obj)) for obj in whole if obj.get("kind") == "Pod")
    journeys = Journeys(whole, network, namespace)
    return [_check(journeys, wish) for wish in parse(document, pods)]


def _check(journeys: Journeys, wish: Expectation) -> Finding:
    try:
        trace = journeys.follow(wish.source, wish.target, wish.port, wish.protocol).trace
    except ValueError as error:
        return Finding(wish, "unresolved", False, "", "", str(error))  # noqa: FBT003  the third of six
    arrives = trace.verdict == DELIVERED
    is_met = (
        arrives
        if wish.expect == ALLOW
        else not arrives and any(hop.verdict in ("drop", "reject") for hop in trace.hops)
    )
    hop = _deciding(trace)
    return Finding(wish, trace.verdict, is_met, hop.object, hop.field, hop.text, tuple(trace.lines()))


def _deciding(trace: Trace) -> TraceHop:
    """The hop that refuses, or the last policy that allows."""
    hops = trace.hops
    if trace.verdict == DELIVERED:
        asked = [hop for hop in hops if hop.stage == "policy" and hop.verdict == "accept"]
        policies = [hop for hop in asked if not hop.object.startswith("Pod ")] or asked
        return policies[-1] if policies else hops[-1]
    refusing = [hop for hop in hops if hop.verdict in _REFUSING]
    return refusing[-1] if refusing else hops[-1]
