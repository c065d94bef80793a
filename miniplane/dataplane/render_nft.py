"""Rules as nft text: a transcription, one construct at a time. `parse_nft.parse(render(r)) == r`.

Comments carry the origins, so that they can be read in `nft list ruleset` and `nft monitor trace`.
"""

from collections.abc import Iterable
from typing import assert_never

from miniplane.dataplane.nft_words import comment, field_words, type_word, value_word
from miniplane.dataplane.ruleset import (
    Chain,
    Delete,
    Dnat,
    Element,
    Fields,
    Goto,
    Hook,
    In,
    Is,
    IsTranslated,
    Jump,
    Lookup,
    Masquerade,
    Match,
    NamedSet,
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
)

DYNAMIC_SIZE = 65535
"""How many clients a dynamic map remembers."""


def render(ruleset: Ruleset) -> str:
    """The whole ruleset, for `nft -f -` into a network namespace without it."""
    return "".join(render_table(table) for table in ruleset.tables)


def render_table(table: Table) -> str:
    """One table with everything in it."""
    lines = [f"table {table.family} {table.name} {{"]
    for item in table.sets:
        lines += [f"\t{line}" for line in set_lines(item, table.family)]
    for chain in table.chains:
        lines += [f"\t{line}" for line in chain_lines(chain, table.family)]
    return "\n".join([*lines, "}", ""])


def set_lines(item: NamedSet, family: str) -> list[str]:
    """A set or map with its elements."""
    types = " . ".join(type_word(kind, family) for kind in item.types)
    if item.verdicts:
        types += " : verdict"
    elif item.data:
        types += " : " + " . ".join(type_word(kind, family) for kind in item.data)
    lines = [f"{item.word} {item.name} {{", f"\ttype {types}"]
    if item.interval:
        lines.append("\tflags interval")
    if item.dynamic:
        lines += ["\tflags dynamic,timeout", f"\tsize {DYNAMIC_SIZE}"]
    if item.elements:
        lines.append("\telements = {")
        lines += [f"\t\t{element_words(element, item, family)}," for element in item.elements]
        lines.append("\t}")
    return [*lines, "}"]


def element_words(element: Element, item: NamedSet, family: str, *, bare: bool = False) -> str:
    """`key comment "…" : data`; bare, without the comment, to delete it."""
    words = _values(element.key, item.types, family)
    if bare and item.interval and item.types[-1] is Type.PORT and isinstance(element.key[-1], int):
        # nft 1.0.6 finds no exact key with a mark in it when it deletes from an interval set; one with a range it does.
        words += f"-{element.key[-1]}"
    if element.origins and not bare:
        words += f' comment "{comment(element.origins)}"'
    match element.data:
        case None:
            return words
        case Plain() | Jump() | Goto():
            return f"{words} : {_verdict(element.data)}"
        case tuple():
            return f"{words} : {_values(element.data, item.data, family)}"
        case _:
            assert_never(element.data)


def chain_lines(chain: Chain, family: str) -> list[str]:
    """A chain with its rules."""
    lines = [f"chain {chain.name} {{"]
    if chain.hook:
        lines.append(f"\t{_hook(chain.hook)}")
    lines += [f"\t{rule_words(rule, family)}" for rule in chain.rules]
    return [*lines, "}"]


def rule_words(rule: Rule, family: str) -> str:
    """One rule, its origin as the comment at the end."""
    parts = [_match(match, family) for match in rule.matches]
    parts += [_statement(statement, family) for statement in rule.statements]
    return " ".join([*parts, f'comment "{comment((rule.origin,))}"'])


def _hook(hook: Hook) -> str:
    return f"type {hook.type} hook {hook.name} priority {hook.priority}; policy accept;"


def _values(values: Iterable[Value], types: Iterable[Type], family: str) -> str:
    return " . ".join(value_word(value, kind, family) for value, kind in zip(values, types, strict=True))


def _fields(fields: Fields, family: str) -> str:
    return " . ".join(field_words(field, family) for field in fields)


def _match(match: Match, family: str) -> str:
    match match:
        case In(fields, name, negated):
            return f"{_fields(fields, family)} {'!= ' if negated else ''}@{name}"
        case Is(field, value, negated):
            words = field_words(field, family)
            return f"{words} {'!=' if negated else '=='} {value_word(value, field.type, family)}"
        case StateIs(states):
            return f"ct state {','.join(states)}"
        case IsTranslated():
            return "ct status dnat"
        case _:
            assert_never(match)


def _lookup(lookup: Lookup, family: str) -> str:
    return f"{_fields(lookup.fields, family)} map @{lookup.map}"


def _verdict(verdict: Plain | Jump | Goto) -> str:
    match verdict:
        case Jump(chain):
            return f"jump {chain}"
        case Goto(chain):
            return f"goto {chain}"
        case Plain():
            return verdict.value
        case _:
            assert_never(verdict)


def _statement(statement: Statement, family: str) -> str:
    match statement:
        case Plain() | Jump() | Goto():
            return _verdict(statement)
        case VerdictOf(lookup):
            return f"{_fields(lookup.fields, family)} vmap @{lookup.map}"
        case Dnat(lookup):
            return f"dnat {family} to {_lookup(lookup, family)}"
        case Masquerade():
            return "masquerade fully-random"
        case SetMark(field, value):
            return f"{field_words(field, family)} set {_mark(value, family)}"
        case Update(name, fields, data, timeout_s):
            key = f"{_fields(fields, family)} timeout {timeout_s}s"
            return f"update @{name} {{ {key} : {field_words(data, family)} }}"
        case Delete(name, fields, data):
            return f"delete @{name} {{ {_fields(fields, family)} : {field_words(data, family)} }}"
        case _:
            assert_never(statement)


def _mark(value: int | Random | Lookup, family: str) -> str:
    match value:
        case Random(modulus, offset):
            return f"numgen random mod {modulus}" + (f" offset {offset}" if offset else "")
        case Lookup():
            return _lookup(value, family)
        case int():
            return value_word(value, Type.MARK, family)
        case _:
            assert_never(value)
