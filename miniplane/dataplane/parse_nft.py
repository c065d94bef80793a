"""nft text read back into rules: the inverse of `render_nft`, for the drift check and as its proof.

Reads exactly the subset that is written; anything else is a `ParseError` that names the line. Origins that did not
fit into a comment are looked up in a catalogue, usually `catalogue(ruleset)` of what was compiled.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network

from miniplane.dataplane.nft_words import PROTOCOLS, comment, field_words, origins_of, type_word
from miniplane.dataplane.ruleset import (
    Chain,
    CtState,
    Data,
    Delete,
    Dnat,
    Element,
    Field,
    Fields,
    Goto,
    Hook,
    HookName,
    In,
    Is,
    IsTranslated,
    Jump,
    Lookup,
    Masquerade,
    Match,
    NamedSet,
    Origin,
    Plain,
    Random,
    Rule,
    Ruleset,
    SetMark,
    StateIs,
    Statement,
    Table,
    Type,
    Update,
    Value,
    VerdictOf,
    remark,
    span,
)

Catalogue = Mapping[str, tuple[Origin, ...]]
"""`{comment: origins}` for comments that are digests."""


class ParseError(ValueError):
    """Text that is not of our subset."""


def parse(text: str, catalogue: Catalogue | None = None) -> Ruleset:
    """The ruleset that a text says."""
    return _Parser(text, catalogue or {}).parse()


def parse_part(text: str) -> Match | Statement:
    """The one match or statement that a text says."""
    part, rest = _part(text)
    if rest:
        raise ParseError(f"more than one part of a rule: {text}")
    return part


def catalogue(ruleset: Ruleset) -> Catalogue:
    """The origins that the ruleset's comments can only name by digest."""
    found: dict[str, tuple[Origin, ...]] = {}
    for table in ruleset.tables:
        for item in table.sets:
            for element in item.elements:
                word = comment(element.origins)
                if word.startswith("#"):
                    found[word] = element.origins
        for chain in table.chains:
            for rule in chain.rules:
                word = comment((rule.origin,))
                if word.startswith("#"):
                    found[word] = (rule.origin,)
    return found


_FAMILIES = ("ip", "ip6")
_TYPE_WORDS = {type_word(kind, family): kind for kind in Type for family in _FAMILIES}
_FIELD_WORDS = {field_words(field, family): field for field in Field for family in _FAMILIES}
_PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}
_PLAIN = {plain.value: plain for plain in Plain}
_COMMENT = re.compile(r' ?comment "([^"]*)"')
_HOOK = re.compile(r"type (\w+) hook (\w+) priority (-?\d+); policy accept;")
_REMEMBER = re.compile(r"(update|delete) @(\S+) \{ (.+?)(?: timeout (\w+))? : (.+?) \}")
_TIME = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_WORDS = "|".join(sorted(map(re.escape, _FIELD_WORDS), key=len, reverse=True))
_FIELDS = re.compile(rf"(?:{_WORDS})(?: \. (?:{_WORDS}))*")
_RANDOM = re.compile(r"numgen random mod (\d+)(?: offset (\d+))?")


class _Parser:
    """Reads line by line; one construct stands on one line."""

    def __init__(self, text: str, origins: Catalogue) -> None:
        self._lines: Iterator[str] = (line.strip() for line in text.splitlines() if line.strip())
        self._origins = origins

    def parse(self) -> Ruleset:
        tables = []
        for line in self._lines:
            match line.split():
                case ["table", family, name, "{"] if family in _FAMILIES:
                    tables.append(self._table(family, name))
                case _:
                    raise ParseError(f"no table: {line}")
        return Ruleset(tuple(tables))

    def _block(self) -> Iterator[str]:
        """The lines up to the closing brace."""
        for line in self._lines:
            if line == "}":
                return
            yield line
        raise ParseError("a brace is not closed")

    def _table(self, family: str, name: str) -> Table:
        sets: list[NamedSet] = []
        chains: list[Chain] = []
        for line in self._block():
            match line.split():
                case ["set" | "map", item, "{"]:
                    sets.append(self._set(item))
                case ["chain", item, "{"]:
                    chains.append(self._chain(item))
                case _:
                    raise ParseError(f"no set, map or chain: {line}")
        return Table(family, name, tuple(sets), tuple(chains))

    def _set(self, name: str) -> NamedSet:
        types: tuple[Type, ...] = ()
        data: tuple[Type, ...] = ()
        flags: set[str] = set()
        verdicts = False
        elements: tuple[Element, ...] = ()
        for line in self._block():
            head, _, rest = line.partition(" ")
            if head == "type":
                key, _, value = rest.partition(" : ")
                verdicts = value == "verdict"
                types, data = _types(key), _types(value) if value and not verdicts else ()
            elif head == "flags":
                flags = set(rest.split(","))
            elif head == "elements":
                lines = (item.rstrip(",") for item in self._block())
                elements = tuple(self._element(item, types, data, verdicts=verdicts) for item in lines)
            elif head != "size":
                raise ParseError(f"unknown in a set: {line}")
        return NamedSet(name, types, elements, data, verdicts, "interval" in flags, "dynamic" in flags)

    def _element(self, text: str, types: tuple[Type, ...], data: tuple[Type, ...], *, verdicts: bool) -> Element:
        text, origins = self._comment(text)
        key, _, value = text.partition(" : ")
        found: Data = None
        if verdicts:
            found = _verdict(value)
        elif data:
            found = tuple(number for item in _values(value, data) if isinstance(number := item, int))
        return Element(_values(key, types), found, origins)

    def _comment(self, text: str) -> tuple[str, tuple[Origin, ...]]:
        """The text without its comment, and what that says."""
        found = _COMMENT.search(text)
        if found is None:
            return text, ()
        rest = text[: found.start()] + text[found.end() :]
        word = found[1]
        if not word.startswith("#"):
            return rest, origins_of(word)
        return rest, self._origins.get(word) or (remark(word),)

    def _chain(self, name: str) -> Chain:
        hook: Hook | None = None
        rules: list[Rule] = []
        for line in self._block():
            found = _HOOK.fullmatch(line)
            if found:
                hook = Hook(found[1], HookName(found[2]), int(found[3]))
            else:
                rules.append(self._rule(line))
        return Chain(name, tuple(rules), hook)

    def _rule(self, line: str) -> Rule:
        text, origins = self._comment(line)
        matches: list[Match] = []
        statements: list[Statement] = []
        rest = text
        while rest:
            part, rest = _part(rest)
            if isinstance(part, Match):
                matches.append(part)
            else:
                statements.append(part)
        return Rule(tuple(matches), tuple(statements), origins[0] if origins else remark(""))


def _part(text: str) -> tuple[Match | Statement, str]:
    """The first match or statement of a rule, and the rest of the text."""
    for read in (_plain_part, _remember_part, _field_part):
        found = read(text)
        if found is not None:
            return found[0], text[found[1] :].lstrip()
    raise ParseError(f"unknown in a rule: {text}")


_Found = tuple[Match | Statement, int] | None


def _plain_part(text: str) -> _Found:
    word, _, rest = text.partition(" ")
    if text.startswith(Plain.RESET):
        return Plain.RESET, len(Plain.RESET)
    if word in _PLAIN:
        return _PLAIN[word], len(word)
    if word in ("jump", "goto"):
        name = rest.split(" ")[0]
        return _verdict(f"{word} {name}"), len(f"{word} {name}")
    for constant, part in (("masquerade fully-random", Masquerade()), ("ct status dnat", IsTranslated())):
        if text.startswith(constant):
            return part, len(constant)
    if found := re.match(r"ct state (\S+)", text):
        return StateIs(tuple(CtState(state) for state in found[1].split(","))), found.end()
    if found := re.match(rf"dnat ip6? to ({_FIELDS.pattern}) map @(\S+)", text):
        return Dnat(Lookup(_fields(found[1]), found[2])), found.end()
    return None


def _remember_part(text: str) -> _Found:
    found = _REMEMBER.match(text)
    if found is None:
        return None
    word, name, fields, timeout, data = found.groups()
    if word == "update":
        return Update(name, _fields(fields), _FIELD_WORDS[data], _seconds(timeout)), found.end()
    return Delete(name, _fields(fields), _FIELD_WORDS[data]), found.end()


def _seconds(text: str) -> int:
    """`10800s`, which nft itself prints as `3h`."""
    if not re.fullmatch(rf"(?:{_TIME.pattern})+", text):
        raise ParseError(f"no time: {text}")
    return sum(int(number) * _SECONDS[unit] for number, unit in _TIME.findall(text))


def _field_part(text: str) -> _Found:
    """What starts with fields: a set match, a comparison, a verdict map, a mark."""
    start = _FIELDS.match(text)
    if start is None:
        return None
    fields, rest = _fields(start[0]), text[start.end() + 1 :]
    word, _, after = rest.partition(" ")
    offset = len(text) - len(after)
    if word.startswith("@"):
        return In(fields, word[1:]), start.end() + 1 + len(word)
    name = after.split(" ")[0]
    end = offset + len(name)
    if word == "vmap":
        return VerdictOf(Lookup(fields, name[1:])), end
    if word == "!=" and name.startswith("@"):
        return In(fields, name[1:], negated=True), end
    if word in ("==", "!="):
        return Is(fields[0], _value(name, fields[0].type), word == "!="), end
    if word != "set":
        return None
    if found := _RANDOM.match(after):
        return SetMark(fields[0], Random(int(found[1]), int(found[2] or 0))), offset + found.end()
    if found := re.match(rf"({_FIELDS.pattern}) map @(\S+)", after):
        return SetMark(fields[0], Lookup(_fields(found[1]), found[2])), offset + found.end()
    return SetMark(fields[0], int(name, 0)), end


def _verdict(text: str) -> Plain | Jump | Goto:
    word, _, chain = text.partition(" ")
    if word == "jump":
        return Jump(chain)
    if word == "goto":
        return Goto(chain)
    return Plain(word)


def _types(text: str) -> tuple[Type, ...]:
    return tuple(_TYPE_WORDS[word] for word in text.split(" . "))


def _fields(text: str) -> Fields:
    return tuple(_FIELD_WORDS[word] for word in text.split(" . "))


def _values(text: str, types: Iterable[Type]) -> tuple[Value, ...]:
    return tuple(_value(word, kind) for word, kind in zip(text.split(" . "), types, strict=True))


def _value(word: str, kind: Type) -> Value:
    if kind is Type.ADDRESS:
        if "/" in word:
            prefix = ip_network(word)
            return span(int(prefix[0]), int(prefix[-1]))
        low, _, high = word.partition("-")
        return span(int(ip_address(low)), int(ip_address(high or low)))
    if kind is Type.PROTOCOL and word in _PROTOCOL_NUMBERS:
        return _PROTOCOL_NUMBERS[word]
    low, _, high = word.partition("-")
    return span(int(low, 0), int(high or low, 0))
