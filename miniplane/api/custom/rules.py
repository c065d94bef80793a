"""Validation rules of a schema, `x-kubernetes-validations`: compiled once, judged for each object.

Counterpart upstream: k8s.io/apiextensions-apiserver, pkg/apiserver/schema/cel.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from miniplane.api import cel
from miniplane.api.cel import CelError, Program
from miniplane.api.validation import FieldError, Path

_OLD = re.compile(r"(?<![\w.'\"])oldSelf\b")
_OPTIONAL_OLD = "(old__.?value)"
_VARIABLES = ("self", "oldSelf", "old__")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = frozenset(
    (
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
    )
)
_REASONS = {
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
MISSING: Any = object()
"""The old value of what is new."""


class RuleError(FieldError):
    """What a rule has against a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be evaluated."""

    text: str
    program: Program
    message: str = ""
    message_program: Program | None = None
    reason: str = ""
    field_path: str = ""
    is_transition: bool = False
    optional_old: bool = False


def compile_rules(given: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of one place.

    Raises:
        CelError: One of them is no expression, or no condition.
    """
    return tuple(compile_rule(item) for item in given)


def compile_rule(item: Mapping[str, Any]) -> Rule:
    """One rule. Raises CelError."""
    optional = item.get("optionalOldSelf") is True

    def program(text: str) -> Program:
        return cel.compile(_OLD.sub(_OPTIONAL_OLD, text) if optional else text, _VARIABLES)

    text = str(item.get("rule") or "")
    made = program(text)
    if made.result_type not in ("BOOL", "DYN"):
        raise CelError("must evaluate to a bool")
    message = str(item.get("messageExpression") or "")
    message_program = program(message) if message.strip() else None
    if message_program is not None and message_program.result_type not in ("STRING", "DYN"):
        raise CelError("messageExpression must evaluate to a string")
    return Rule(
        text,
        made,
        message=str(item.get("message") or ""),
        message_program=message_program,
        reason=str(item.get("reason") or ""),
        field_path=str(item.get("fieldPath") or ""),
        is_transition=bool(_OLD.search(text)),
        optional_old=optional,
    )


def judge_rules(rules: Sequence[Rule], word: str, value: Any, old: Any, path: Path) -> list[RuleError]:
    """What the rules have against a value of JSON type `word`; `old` is MISSING where there was none.

    Values are as rules see them: property names escaped. A rule on a change is asked only where there was a value.
    """
    errors: list[RuleError] = []
    for rule in rules:
        if rule.is_transition and old is MISSING and not rule.optional_old:
            continue
        bindings = {
            "self": value,
            "oldSelf": None if old is MISSING else old,
            "old__": {} if old is MISSING else {"value": old},
        }
        try:
            if rule.program.evaluate(bindings) is True:
                continue
            message = _message(rule, bindings)
        except CelError as error:
            if error.over_budget:
                errors.append(RuleError("FieldValueInvalid", _shown(path), f'Invalid value: "{word}": {error}'))
                break
            message = f"{error} evaluating rule: {rule.message or rule.text}"
        errors.append(_error(rule, word, _place(path, rule.field_path), message))
    return errors


def _message(rule: Rule, bindings: Mapping[str, Any]) -> str:
    if rule.message_program is not None:
        try:
            made = rule.message_program.evaluate(bindings)
        except CelError:
            made = None
        if isinstance(made, str) and made.strip() and "\n" not in made:
            return made.strip()
    return rule.message.strip() or f"failed rule: {rule.text.strip()}"


def _error(rule: Rule, word: str, path: str, message: str) -> RuleError:
    prefix = _REASONS.get(rule.reason)
    if prefix is None:
        return RuleError("FieldValueInvalid", path, f'Invalid value: "{word}": {message}')
    if rule.reason == "FieldValueDuplicate":
        return RuleError(rule.reason, path, f'{prefix}: "{word}"')
    return RuleError(rule.reason, path, f"{prefix}: {message}")


def _shown(path: str) -> str:
    """The root has no path, and upstream writes it so."""
    return path or "<nil>"


def _place(path: Path, below: str) -> str:
    return _shown(path + below if path else below.removeprefix(".")) if below else _shown(path)


def escape(name: str) -> str:
    """A property's name as rules write it; one that can't be written stays and is out of their reach."""
    if name in _RESERVED:
        return f"__{name}__"
    words = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
    made = re.sub(r"__|[./-]", lambda match: words[match.group()], name)
    return made if _NAME.fullmatch(made) else name
