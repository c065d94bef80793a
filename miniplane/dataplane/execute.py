"""Rules made runnable: each match and statement of a table becomes a small function over a packet on its way.

Semantics are nft(8)'s: matches are tried in order; a lookup that finds nothing ends its rule without effect; `goto`
does not come back, `jump` does; `dnat` and `masquerade` end their hook.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from operator import attrgetter
from typing import Any, NamedTuple, assert_never

from miniplane.dataplane.index import Index, Key
from miniplane.dataplane.packet import Address, Protocol
from miniplane.dataplane.ruleset import (
    Chain,
    CtState,
    Delete,
    Dnat,
    Element,
    Field,
    Fields,
    Goto,
    HookName,
    In,
    Is,
    IsTranslated,
    Jump,
    Lookup,
    Masquerade,
    Match,
    Plain,
    Random,
    Range,
    Rule,
    SetMark,
    StateIs,
    Statement,
    Table,
    Update,
    Verdictlike,
    VerdictOf,
)


class Step(NamedTuple):
    """One rule that took part: `element` is the one its lookup found, `text` what it did (`goto pick-2`, `drop`)."""

    hook: str
    chain: str
    rule: Rule | None
    element: Element | None
    text: str


class Run:
    """A packet inside a node: its fields as they are now, what conntrack says, and the way so far."""

    __slots__ = (
        "choose",
        "ct_mark",
        "dport",
        "dst",
        "hit",
        "hook",
        "is_translated",
        "mark",
        "now",
        "overlay",
        "own",
        "protocol",
        "sport",
        "src",
        "state",
        "steps",
        "text",
        "version",
        "weight",
    )

    def __init__(self, now: float, choose: Callable[[int], int]) -> None:
        self.now = now
        self.choose = choose
        self.version = 4
        self.own: int | None = None
        self.src = self.dst = self.protocol = self.sport = self.dport = self.mark = self.ct_mark = 0
        self.state = CtState.NEW
        self.is_translated = False
        self.steps: list[Step] = []
        self.weight = 1.0
        self.hook = ""
        self.hit: Element | None = None
        self.text = ""
        self.overlay: dict[str, dict[Key, tuple[int, float] | None]] = {}
        """What this packet changed in dynamic maps: `{map: {key: (value, expiry) or None}}`."""

    def address(self, number: int) -> Address:
        """An address of this packet's family."""
        return IPv4Address(number) if self.version == 4 else IPv6Address(number)  # noqa: PLR2004  IPv4


_ATTRIBUTES = {
    Field.SADDR: "src",
    Field.DADDR: "dst",
    Field.PROTOCOL: "protocol",
    Field.SPORT: "sport",
    Field.DPORT: "dport",
    Field.MARK: "mark",
    Field.CT_MARK: "ct_mark",
}


class _Miss:
    """The answer of a statement whose lookup found nothing."""


_MISS = _Miss()
Test = Callable[[Run], bool]
Act = Callable[[Run], Verdictlike | _Miss | None]
DynamicMaps = Mapping[str, Mapping[Key, tuple[int, float]]]


class Executor:
    """One table's chains as functions. Indexes and dynamic maps are the machine's and may change under it."""

    def __init__(self, table: Table, indexes: Mapping[str, Index], dynamic: DynamicMaps) -> None:
        self.chains = table.chains
        self._indexes = indexes
        self._dynamic = dynamic
        self._lines = {chain.name: tuple(self._line(rule) for rule in chain.rules) for chain in table.chains}
        self._hooks: dict[HookName, list[tuple[bool, str]]] = {name: [] for name in HookName}
        for _, kind, name, chain in sorted(map(_place, (chain for chain in table.chains if chain.hook))):
            self._hooks[HookName(name)].append((kind == "nat", chain))

    def hook(self, name: HookName) -> list[tuple[bool, str]]:
        """The base chains of a hook, in order: whether it is of type nat, and its name."""
        return self._hooks[name]

    def walk(self, chain: str, run: Run) -> Plain | None:
        """Run a chain; None if no rule ended the packet's way through this hook."""
        for apply, rule in self._lines[chain]:
            run.hit = None
            run.text = ""
            verdict = apply(run)
            if isinstance(verdict, _Miss):
                continue
            run.steps.append(Step(run.hook, chain, rule, run.hit, run.text or _words(verdict)))
            if isinstance(verdict, Jump):
                inner = self.walk(verdict.chain, run)
                if inner is not None:
                    return inner
            elif isinstance(verdict, Goto):
                return self.walk(verdict.chain, run)
            elif verdict is not None:
                return None if verdict is Plain.RETURN else verdict
        return None

    def _line(self, rule: Rule) -> tuple[Act, Rule]:
        """A rule as one function; it misses if a match fails or a lookup finds nothing."""
        tests, acts = tuple(map(self._test, rule.matches)), tuple(map(self._act, rule.statements))

        def apply(run: Run) -> Verdictlike | _Miss | None:
            for test in tests:
                if not test(run):
                    return _MISS
            verdict: Verdictlike | _Miss | None = None
            for act in acts:
                verdict = act(run)
                if verdict is not None:
                    break
            return verdict

        return apply, rule

    def _test(self, match: Match) -> Test:
        match match:
            case In():
                return self._in(match)
            case Is():
                return _is(match)
            case StateIs(states):
                return lambda run: run.state in states
            case IsTranslated():
                return lambda run: run.is_translated
            case _:
                assert_never(match)

    def _in(self, match: In) -> Test:
        key, index, wanted = _getter(match.fields), self._indexes[match.set], not match.negated

        def test(run: Run) -> bool:
            found = index.find(key(run))
            if found is None:
                return not wanted
            if wanted:
                run.hit = found
            return wanted

        return test

    def _act(self, statement: Statement) -> Act:
        match statement:
            case Plain.RESET:
                return lambda run: Plain.RESET if run.protocol == Protocol.TCP else _MISS
            case Plain() | Jump() | Goto():
                return lambda _: statement
            case VerdictOf(lookup):
                return self._verdict_of(lookup)
            case Dnat(lookup):
                return self._dnat(lookup)
            case Masquerade():
                return _masquerade
            case SetMark():
                return self._set_mark(statement)
            case Update() | Delete():
                return self._remember(statement)
            case _:
                assert_never(statement)

    def _verdict_of(self, lookup: Lookup) -> Act:
        key, index = _getter(lookup.fields), self._indexes[lookup.map]

        def act(run: Run) -> Verdictlike | _Miss:
            found = index.find(key(run))
            if found is None or not isinstance(found.data, (Plain, Jump, Goto)):
                return _MISS
            run.hit = found
            return found.data

        return act

    def _dnat(self, lookup: Lookup) -> Act:
        key, index = _getter(lookup.fields), self._indexes[lookup.map]

        def act(run: Run) -> Verdictlike | _Miss:
            found = index.find(key(run))
            if found is None or not isinstance(found.data, tuple):
                return _MISS
            run.hit = found
            run.dst, run.dport = found.data
            run.is_translated = True
            run.text = f"dnat to {run.address(run.dst)}:{run.dport}"
            return Plain.ACCEPT

        return act

    def _set_mark(self, statement: SetMark) -> Act:
        attribute, value = _ATTRIBUTES[statement.field], statement.value
        if isinstance(value, int):
            return _constant(attribute, value)
        if isinstance(value, Random):
            return _random(attribute, value)
        if value.map in self._dynamic:
            return self._recall(attribute, value)
        key, index = _getter(value.fields), self._indexes[value.map]

        def act(run: Run) -> _Miss | None:
            found = index.find(key(run))
            if found is None or not isinstance(found.data, tuple):
                return _MISS
            run.hit = found
            setattr(run, attribute, found.data[0])
            run.text = f"mark {found.data[0]:#x}"
            return None

        return act

    def _recall(self, attribute: str, lookup: Lookup) -> Act:
        key, name, live = _getter(lookup.fields), lookup.map, self._dynamic[lookup.map]

        def act(run: Run) -> _Miss | None:
            found = _current(run, name, live, key(run))
            if found is None:
                return _MISS
            setattr(run, attribute, found[0])
            run.text = f"remembered {found[0]:#x}"
            return None

        return act

    def _remember(self, statement: Update | Delete) -> Act:
        key, data, name = _getter(statement.fields), _ATTRIBUTES[statement.data], statement.map
        live = self._dynamic[name]
        timeout_s = statement.timeout_s if isinstance(statement, Update) else None

        def act(run: Run) -> None:
            client = key(run)
            found = _current(run, name, live, client)
            overlay = run.overlay.setdefault(name, {})
            if timeout_s is None:
                overlay[client] = None
            else:
                overlay[client] = (found[0] if found else getattr(run, data), run.now + timeout_s)

        return act


def _current(run: Run, name: str, live: Mapping[Key, tuple[int, float]], key: Key) -> tuple[int, float] | None:
    """What a dynamic map holds for a key, this packet's own changes included."""
    overlay = run.overlay.get(name)
    found = overlay[key] if overlay is not None and key in overlay else live.get(key)
    return found if found is not None and found[1] > run.now else None


def _masquerade(run: Run) -> Verdictlike | _Miss:
    if run.own is None:
        return _MISS
    run.src = run.own
    run.text = f"masquerade as {run.address(run.own)}"
    return Plain.ACCEPT


def _constant(attribute: str, value: int) -> Act:
    text = f"{attribute} {value:#x}"

    def act(run: Run) -> None:
        setattr(run, attribute, value)
        run.text = text

    return act


def _random(attribute: str, value: Random) -> Act:
    def act(run: Run) -> None:
        chosen = run.choose(value.modulus)
        setattr(run, attribute, value.offset + chosen)
        run.weight /= value.modulus
        run.text = f"choice {chosen + 1} of {value.modulus}"

    return act


def _is(match: Is) -> Test:
    get, value, negated = attrgetter(_ATTRIBUTES[match.field]), match.value, match.negated
    if isinstance(value, Range):
        low, high = value
        return lambda run: (low <= get(run) <= high) is not negated
    return lambda run: (get(run) == value) is not negated


def _getter(fields: Fields) -> Callable[[Run], tuple[Any, ...]]:
    """The fields' present values as a key; always a tuple."""
    get = attrgetter(*(_ATTRIBUTES[field] for field in fields))
    if len(fields) > 1:
        return get
    return lambda run: (get(run),)


def _words(verdict: Verdictlike | None) -> str:
    match verdict:
        case None:
            return ""
        case Jump(chain):
            return f"jump {chain}"
        case Goto(chain):
            return f"goto {chain}"
        case Plain():
            return verdict.value
        case _:
            assert_never(verdict)


def _place(chain: Chain) -> tuple[int, str, str, str]:
    hook = chain.hook
    assert hook is not None
    return hook.priority, hook.type, hook.name.value, chain.name
