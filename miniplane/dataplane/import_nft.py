"""The kernel's own listing (`nft -j list table …`) read back into rules: what is really there, for the drift check.

Reads exactly the subset that `render_nft` writes; anything else, such as a rule that somebody added by hand in other
words, is a `ParseError` that names it. The result is in normal form, because the kernel keeps elements in an order of
its own: compare it with `normal(compiled)`. Elements that rules put into dynamic maps are no part of it.
Source: libnftables-json(5); nft 1.0.6 lists updates of maps as plain text, which `parse_nft` reads.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.dataplane.diff import normal
from miniplane.dataplane.nft_words import origins_of, type_word
from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.parse_nft import Catalogue, ParseError, parse_part
from miniplane.dataplane.ruleset import (
    Chain,
    CtState,
    Data,
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
    Value,
    VerdictOf,
    remark,
    span,
)

Json = Mapping[str, Any]

_FAMILIES = ("ip", "ip6")
_TYPES = {type_word(kind, family): kind for kind in Type for family in _FAMILIES}
_FIELDS: dict[tuple[str, str, str], Field] = {
    ("payload", "ip", "saddr"): Field.SADDR,
    ("payload", "ip", "daddr"): Field.DADDR,
    ("payload", "ip6", "saddr"): Field.SADDR,
    ("payload", "ip6", "daddr"): Field.DADDR,
    ("meta", "", "l4proto"): Field.PROTOCOL,
    ("payload", "th", "sport"): Field.SPORT,
    ("payload", "th", "dport"): Field.DPORT,
    ("meta", "", "mark"): Field.MARK,
    ("ct", "", "mark"): Field.CT_MARK,
}
_PROTOCOLS = {"ipv6-icmp": Protocol.ICMPV6, **{protocol.name.lower(): protocol for protocol in Protocol}}
_RESET = {"reject": {"type": "tcp reset"}}
_ITEMS = ("table", "set", "map", "chain", "rule", "metainfo")
_KNOWN = {
    "table": {"family", "name", "handle"},
    "set": {"family", "name", "table", "type", "handle", "flags", "elem", "size"},
    "map": {"family", "name", "table", "type", "handle", "flags", "elem", "size", "map"},
    "chain": {"family", "name", "table", "handle", "type", "hook", "prio", "policy"},
    "rule": {"family", "table", "chain", "handle", "comment", "expr"},
}
"""What may be said of each; anything more (a time-out of a set, a dormant table) means something that we never say."""


def read(listing: Json, catalogue: Catalogue | None = None) -> Ruleset:
    """The rules of a listing as parsed JSON, in normal form.

    Origins come from comments; those that are digests are looked up in the `catalogue` of what was compiled.
    """
    reader = _Reader(catalogue or {})
    try:
        return normal(reader.read(listing["nftables"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError(f"not a listing of ours: {error!r}") from error


class _Reader:
    """Sorts what is listed flatly into its tables and chains."""

    def __init__(self, origins: Catalogue) -> None:
        self._origins = origins

    def read(self, items: Sequence[Json]) -> Ruleset:
        tables: dict[tuple[str, str], tuple[list[NamedSet], dict[str, Chain]]] = {}
        for word, item in _each(items):
            if word == "table":
                if item["family"] not in _FAMILIES:
                    raise ParseError(f"no table of ours: {item['family']} {item['name']}")
                tables[item["family"], item["name"]] = ([], {})
                continue
            sets, chains = tables[item["family"], item["table"]]
            if word in ("set", "map"):
                sets.append(self._set(item))
            elif word == "chain":
                chains[item["name"]] = Chain(item["name"], (), _hook(item))
            else:
                chain = chains[item["chain"]]
                chains[chain.name] = Chain(chain.name, (*chain.rules, self._rule(item)), chain.hook)
        return Ruleset(
            tuple(
                Table(family, name, tuple(sets), tuple(chains.values()))
                for (family, name), (sets, chains) in tables.items()
            )
        )

    def _set(self, item: Json) -> NamedSet:
        flags = set(item.get("flags", ()))
        if flags - {"interval", "timeout", "dynamic"}:
            raise ParseError(f"unknown flags of {item['name']}: {sorted(flags)}")
        words = item["type"]
        types = tuple(_TYPES[word] for word in ([words] if isinstance(words, str) else words))
        held = item.get("map", "")
        verdicts = held == "verdict"
        data = tuple(_TYPES[word] for word in held.split(" . ")) if held and not verdicts else ()
        is_dynamic = "timeout" in flags
        shell = NamedSet(item["name"], types, (), data, verdicts, "interval" in flags, is_dynamic)
        listed = () if is_dynamic else item.get("elem", ())
        elements = tuple(self._element(element, shell) for element in listed)
        return NamedSet(shell.name, types, elements, data, verdicts, shell.interval, is_dynamic)

    def _element(self, item: Any, owner: NamedSet) -> Element:
        said: Any
        key, said = item if owner.word == "map" else (item, None)
        comment = ""
        if isinstance(key, dict) and "elem" in key:
            body = key["elem"]
            if body.keys() - {"val", "comment"}:
                raise ParseError(f"unknown in an element of {owner.name}: {sorted(body)}")
            key, comment = body["val"], body.get("comment", "")
        found: Data = None
        if owner.verdicts:
            found = _verdict(said)
        elif owner.data:
            found = tuple(value for value in _values(said, owner.data) if isinstance(value, int))
        return Element(_values(key, owner.types), found, self._said(comment))

    def _said(self, comment: str) -> tuple[Origin, ...]:
        if not comment:
            return ()
        if comment.startswith("#"):
            return self._origins.get(comment) or (remark(comment),)
        return origins_of(comment)

    def _rule(self, item: Json) -> Rule:
        said = _any_transport(item["expr"]) if _RESET in item["expr"] else item["expr"]
        parts = [_part(expression) for expression in said]
        matches = tuple(part for part in parts if isinstance(part, Match))
        statements = tuple(part for part in parts if not isinstance(part, Match))
        origins = self._said(item.get("comment", ""))
        return Rule(matches, statements, origins[0] if origins else remark(""))


def _any_transport(item: Any) -> Any:
    """A rule with a reset matches TCP only, so nft calls its ports TCP's; we write them as any transport's."""
    if isinstance(item, list):
        return [_any_transport(part) for part in item]
    if not isinstance(item, dict):
        return item
    if item.get("protocol") == "tcp" and "field" in item:
        return {**item, "protocol": "th"}
    return {key: _any_transport(value) for key, value in item.items()}


def _each(items: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Each thing with its word, the listing's own heading left out."""
    for item in items:
        [(word, body)] = item.items()
        if word not in _ITEMS:
            raise ParseError(f"nothing of ours: {word}")
        if word == "metainfo":
            continue
        if more := body.keys() - _KNOWN[word]:
            raise ParseError(f"unknown in a {word}: {sorted(more)}")
        yield word, body


def _hook(item: Json) -> Hook | None:
    if "hook" not in item:
        return None
    if item["policy"] != "accept":
        raise ParseError(f"chain {item['name']} does not accept by itself")
    return Hook(item["type"], HookName(item["hook"]), item["prio"])


def _part(expression: Any) -> Match | Statement:
    """One expression of a rule."""
    if isinstance(expression, str):
        return parse_part(expression)
    [(word, body)] = expression.items()
    match word:
        case "match":
            return _match(body)
        case "vmap":
            return VerdictOf(_lookup(body))
        case "dnat":
            return Dnat(_lookup(body["addr"]["map"]))
        case "masquerade" if body == {"flags": "fully-random"}:
            return Masquerade()
        case "mangle":
            return SetMark(_field(body["key"]), _mark(body["value"]))
        case _:
            return _verdict(expression)


def _match(body: Json) -> Match:
    left, right = body["left"], body["right"]
    if isinstance(left, dict) and left.get("ct") == {"key": "state"}:
        return StateIs(tuple(CtState(word) for word in ([right] if isinstance(right, str) else right)))
    if left == {"ct": {"key": "status"}} and right == "dnat":
        return IsTranslated()
    negated = {"==": False, "!=": True}[body["op"]]
    if isinstance(right, str) and right.startswith("@"):
        return In(_fields(left), right[1:], negated)
    field = _field(left)
    return Is(field, _value(right, field.type), negated)


def _verdict(item: Json) -> Plain | Jump | Goto:
    [(word, body)] = item.items()
    if word in ("jump", "goto"):
        return (Jump if word == "jump" else Goto)(body["target"])
    if item == _RESET:
        return Plain.RESET
    if word == "reject" and body is not None and body["expr"] != "port-unreachable":
        raise ParseError(f"another rejection: {body}")
    if word not in list(Plain):
        raise ParseError(f"unknown in a rule: {item}")
    return Plain(word)


def _mark(value: Any) -> int | Random | Lookup:
    if isinstance(value, int):
        return value
    if "map" in value:
        return _lookup(value["map"])
    numgen = value["numgen"]
    if numgen["mode"] != "random":
        raise ParseError(f"another choice: {numgen}")
    return Random(numgen["mod"], numgen.get("offset", 0))


def _lookup(body: Json) -> Lookup:
    if not body["data"].startswith("@"):
        raise ParseError(f"a map without a name: {body}")
    return Lookup(_fields(body["key"]), body["data"][1:])


def _fields(item: Json) -> Fields:
    return tuple(map(_field, item["concat"])) if "concat" in item else (_field(item),)


def _field(item: Json) -> Field:
    [(word, body)] = item.items()
    found = _FIELDS.get((word, body.get("protocol", ""), body.get("field") or body.get("key", "")))
    if found is None:
        raise ParseError(f"unknown field: {item}")
    return found


def _values(item: Any, types: tuple[Type, ...]) -> tuple[Value, ...]:
    parts = item["concat"] if isinstance(item, dict) and "concat" in item else [item]
    return tuple(_value(part, kind) for part, kind in zip(parts, types, strict=True))


def _value(item: Any, kind: Type) -> Value:
    if isinstance(item, dict) and "prefix" in item:
        prefix = ip_network((item["prefix"]["addr"], item["prefix"]["len"]))
        return span(int(prefix[0]), int(prefix[-1]))
    if isinstance(item, dict):
        low, high = item["range"]
        return span(_number(low, kind), _number(high, kind))
    return _number(item, kind)


def _number(item: Any, kind: Type) -> int:
    if isinstance(item, int):
        return item
    if kind is Type.ADDRESS:
        return int(ip_address(item))
    return int(_PROTOCOLS[item]) if item in _PROTOCOLS else int(item, 0)
