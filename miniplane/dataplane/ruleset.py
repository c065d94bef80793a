"""The rules: a small, faithful subset of nftables, as frozen values.

    Ruleset ─ Table ─┬─ NamedSet ─ Element(key, data, origins)      sets, maps and verdict maps
                     └─ Chain ─ Rule(matches, statements, origin)   base chains have a Hook

Whatever stands here means what nft(8) says it means, which is why three readers (the kernel, the evaluator, the
explainer) can agree. Values inside keys are integers or `Range`s; a set's types say how they are written. Everything
is ordered and deterministic, and every rule and element says which object and field it comes from.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple


class Type(StrEnum):
    """What a value in a key or in a map's data is; an address' width is its table's family's."""

    ADDRESS = "address"
    PROTOCOL = "protocol"
    PORT = "port"
    MARK = "mark"


class Field(Enum):
    """What a rule can look at, with its type."""

    SADDR = ("saddr", Type.ADDRESS)
    DADDR = ("daddr", Type.ADDRESS)
    PROTOCOL = ("protocol", Type.PROTOCOL)
    SPORT = ("sport", Type.PORT)
    DPORT = ("dport", Type.PORT)
    MARK = ("mark", Type.MARK)
    CT_MARK = ("ct mark", Type.MARK)

    @property
    def type(self) -> Type:
        """The type of its values."""
        return self.value[1]


class Range(NamedTuple):
    """A closed interval; never of one value only, which is written as an integer."""

    low: int
    high: int


Value = int | Range
Fields = tuple[Field, ...]


def span(low: int, high: int) -> Value:
    """The value for `low` to `high`."""
    return low if low == high else Range(low, high)


class Origin(NamedTuple):
    """Where a rule or element comes from: an object and a path in it, or (kind empty) a remark on a rule of our own."""

    kind: str
    namespace: str
    name: str
    field: str

    def __str__(self) -> str:
        return f"{self.object} {self.field}" if self.kind else self.field

    @property
    def object(self) -> str:
        """`Kind namespace/name`, or nothing."""
        if not self.kind:
            return ""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def remark(text: str) -> Origin:
    """The origin of a rule that stands in every node's program. The text starts in lower case."""
    return Origin("", "", "", text)


class CtState(StrEnum):
    """What conntrack says of a packet."""

    NEW = "new"
    ESTABLISHED = "established"
    RELATED = "related"


@dataclass(frozen=True, slots=True)
class In:
    """The fields, concatenated, are (not) in a named set."""

    fields: Fields
    set: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Is:
    """A field has (not) the value, or lies in the range."""

    field: Field
    value: Value
    negated: bool = False


@dataclass(frozen=True, slots=True)
class StateIs:
    """The connection is in one of the states."""

    states: tuple[CtState, ...]


@dataclass(frozen=True, slots=True)
class IsTranslated:
    """The connection's target was translated (`ct status dnat`)."""


Match = In | Is | StateIs | IsTranslated


class Plain(StrEnum):
    """The verdicts without a target. REJECT answers "port unreachable", RESET a reset.

    As nft implies it, a rule with RESET matches TCP only.
    """

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    RESET = "reject with tcp reset"
    RETURN = "return"


REFUSALS = (Plain.REJECT, Plain.RESET)
"""The verdicts that answer at once."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on in another chain and come back at its end."""

    chain: str


@dataclass(frozen=True, slots=True)
class Goto:
    """Go on in another chain; at its end, the caller of this chain goes on."""

    chain: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a map holds for the fields. A rule whose lookup finds nothing ends there, without effect."""

    fields: Fields
    map: str


@dataclass(frozen=True, slots=True)
class Random:
    """`offset` plus a random number below `modulus`."""

    modulus: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class VerdictOf:
    """The verdict that a verdict map holds for the fields."""

    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Dnat:
    """Translate the connection's target to the address and port that a map holds. Ends the hook."""

    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Translate the connection's source to the node's own address. Ends the hook."""


@dataclass(frozen=True, slots=True)
class SetMark:
    """Set the packet's mark (MARK) or the connection's (CT_MARK)."""

    field: Field
    value: int | Random | Lookup


@dataclass(frozen=True, slots=True)
class Update:
    """Add `fields: data` to a dynamic map, or renew its time-out; data that is there stays."""

    map: str
    fields: Fields
    data: Field
    timeout_s: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the element of `fields` from a dynamic map."""

    map: str
    fields: Fields
    data: Field


Verdictlike = Plain | Jump | Goto
Statement = Verdictlike | VerdictOf | Dnat | Masquerade | SetMark | Update | Delete
Data = None | Verdictlike | tuple[int, ...]


class Element(NamedTuple):
    """An element of a set (data None), map (data a tuple) or verdict map."""

    key: tuple[Value, ...]
    data: Data
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set; with `data` a map; with `verdicts` a verdict map.

    `interval` sets may hold ranges, and their elements never overlap. `dynamic` ones are filled by rules, with
    time-outs, and list no elements here.
    """

    name: str
    types: tuple[Type, ...]
    elements: tuple[Element, ...] = ()
    data: tuple[Type, ...] = ()
    verdicts: bool = False
    interval: bool = False
    dynamic: bool = False

    @property
    def word(self) -> str:
        """`set` or `map`, as nft calls it."""
        return "map" if self.data or self.verdicts else "set"


class HookName(StrEnum):
    """The places in a packet's way where base chains hang."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


@dataclass(frozen=True, slots=True)
class Hook:
    """What makes a chain a base chain. `type` is `filter` or `nat`; nat chains see only a connection's first packet."""

    type: str
    name: HookName
    priority: int


@dataclass(frozen=True, slots=True)
class Rule:
    """If all of `matches` hold, the `statements` are carried out in order."""

    matches: tuple[Match, ...]
    statements: tuple[Statement, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. A base chain's policy is always accept: what must not pass is said by a rule."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rules of one family: `ip` or `ip6`."""

    family: str
    name: str
    sets: tuple[NamedSet, ...]
    chains: tuple[Chain, ...]

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if self.family == "ip" else 6

    def set(self, name: str) -> NamedSet:
        """The set or map of that name."""
        return next(item for item in self.sets if item.name == name)

    def chain(self, name: str) -> Chain:
        """The chain of that name."""
        return next(item for item in self.chains if item.name == name)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All tables of a node, at most one per family."""

    tables: tuple[Table, ...]

    def table(self, version: int) -> Table | None:
        """The table of an IP version."""
        return next((table for table in self.tables if table.version == version), None)
