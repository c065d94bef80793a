"""Label and field selectors: parsed once, printed back, matched fast.

Grammar and error messages follow k8s.io/apimachinery, pkg/labels and pkg/fields; a bad text is a BadRequest. The text
form and the object form (`matchLabels`, `matchExpressions`) make the same selector. `parse(str(s)) == s`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from miniplane.api.names import is_label_value, is_qualified_name, validate_labels
from miniplane.api.validation import FieldError, Path, forbidden, invalid, required
from miniplane.errors import bad_request

Labels = Mapping[str, str]


class Operator(StrEnum):
    """How a requirement compares; the value is what its text form writes."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    NOT_EXISTS = "!"
    GREATER = ">"
    LESS = "<"


_OBJECT_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.NOT_EXISTS,
}
_TEXT_OPERATORS = {
    "=": Operator.EQUALS,
    "==": Operator.EQUALS,
    "!=": Operator.NOT_EQUALS,
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    ">": Operator.GREATER,
    "<": Operator.LESS,
}
_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else None


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on the labels; `values` is empty for exists and not-exists."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Whether the labels meet it; a missing key meets the negative ones."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EQUALS | Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.NOT_EXISTS:
                return value is None
            case Operator.GREATER | Operator.LESS:
                (limit,) = self.values
                number = None if value is None else _integer(value)
                if number is None:
                    return False
                return number > int(limit) if self.operator is Operator.GREATER else number < int(limit)

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.NOT_EXISTS:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                inside = ",".join(sorted(self.values)) or ","
                return f"{self.key} {self.operator} ({inside})"
            case _:
                return f"{self.key}{self.operator}{''.join(self.values)}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All its requirements must hold; without any it selects everything, `nothing` selects no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    exact: Labels = field(default_factory=dict, compare=False)
    """The keys with one allowed value: what an index can answer."""

    @classmethod
    def of(cls, requirements: Iterable[Requirement]) -> "LabelSelector":
        """From requirements; they are sorted by key, as upstream prints them."""
        ordered = tuple(sorted(requirements, key=lambda item: item.key))
        exact = {
            item.key: next(iter(item.values))
            for item in ordered
            if item.operator in (Operator.EQUALS, Operator.IN) and len(item.values) == 1
        }
        return cls(ordered, exact=exact)

    @classmethod
    def parse(cls, text: str) -> "LabelSelector":
        """From the text of a `labelSelector` parameter; empty selects everything.

        Raises:
            ApiError: BadRequest, in upstream's words.
        """
        return cls.of(_Parser(text).parse())

    @classmethod
    def from_object(cls, selector: Mapping[str, Any] | None) -> "LabelSelector":
        """From a LabelSelector object; None selects nothing, an empty one everything.

        Raises:
            ApiError: BadRequest for an unknown operator or missing values.
        """
        if selector is None:
            return NOTHING
        requirements = list(_from_map(selector.get("matchLabels") or {}))
        for item in selector.get("matchExpressions") or ():
            operator = _OBJECT_OPERATORS.get(item.get("operator", ""))
            if operator is None:
                raise bad_request(f'"{item.get("operator", "")}" is not a valid label selector operator')
            requirements.append(_requirement(item.get("key", ""), operator, item.get("values") or ()))
        return cls.of(requirements)

    @classmethod
    def from_map(cls, labels: Labels | None) -> "LabelSelector":
        """From a plain map, such as a Service's selector; None or an empty one selects everything."""
        return cls.of(_from_map(labels or {}))

    def matches(self, labels: Labels) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        for key, value in self.exact.items():
            if labels.get(key) != value:
                return False
        if len(self.exact) == len(self.requirements):
            return True
        return all(item.matches(labels) for item in self.requirements)

    def __bool__(self) -> bool:
        return self.nothing or bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


NOTHING: Final = LabelSelector(nothing=True)
"""The selector of an absent LabelSelector."""
EVERYTHING: Final = LabelSelector()
"""The selector without requirements."""


def _from_map(labels: Labels) -> Iterable[Requirement]:
    return (Requirement(key, Operator.EQUALS, frozenset((value,))) for key, value in labels.items())


def _invalid(path: str, value: str, message: str) -> Exception:
    return bad_request(f'unable to parse requirement: {path}: Invalid value: "{value}": {message}')


def _requirement(key: str, operator: Operator, values: Sequence[str]) -> Requirement:
    """A requirement that has been checked; a wrong one is a BadRequest."""
    if errors := is_qualified_name(key):
        raise _invalid("key", key, "; ".join(errors))
    if operator in (Operator.IN, Operator.NOT_IN):
        if not values:
            text = "for 'in', 'notin' operators, values set can't be empty"
            raise bad_request(f"unable to parse requirement: values: Invalid value: []: {text}")
    elif operator in (Operator.EXISTS, Operator.NOT_EXISTS) and values:
        shown = ", ".join(f'"{value}"' for value in values)
        text = "values set must be empty for exists and does not exist"
        raise bad_request(f"unable to parse requirement: values: Invalid value: [{shown}]: {text}")
    for index, value in enumerate(values):
        if operator in (Operator.GREATER, Operator.LESS) and _integer(value) is None:
            raise _invalid(f"values[{index}]", value, "for 'Gt', 'Lt' operators, the value must be an integer")
        if errors := is_label_value(value):
            raise _invalid(f"values[{index}][{key}]", value, "; ".join(errors))
    return Requirement(key, operator, frozenset(values))


_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)?")


class _Parser:
    """Recursive descent over the tokens, one look ahead; `in` and `notin` are words except where an operator may be."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            assert match is not None
            if match.group(1):
                self._tokens.append(match.group(1))
            position = max(match.end(), position + 1)
        self._tokens.append("")
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next]

    def _take(self) -> str:
        word = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return word

    @staticmethod
    def _is_word(word: str) -> bool:
        return bool(word) and word[0] not in "=!(),<>"

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while word := self._peek():
            if not self._is_word(word) and word != "!":
                raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
            requirements.append(self._requirement())
            if not (word := self._take()):
                break
            if word != ",":
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            if not self._is_word(self._peek()) and self._peek() != "!":
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")
        return requirements

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._take()
        key = self._take()
        if not self._is_word(key):
            raise self._error(f"found '{key}', expected: identifier")
        if errors := is_qualified_name(key):
            raise _invalid("<nil>", key, "; ".join(errors))
        if negated:
            return _requirement(key, Operator.NOT_EXISTS, ())
        if self._peek() in ("", ","):
            return _requirement(key, Operator.EXISTS, ())
        operator = _TEXT_OPERATORS.get(word := self._take())
        if operator is None:
            raise self._error(f"found '{word}', expected: {_BINARY_OPERATORS}")
        values = self._values() if operator in (Operator.IN, Operator.NOT_IN) else {self._value()}
        return _requirement(key, operator, sorted(values))

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        word = self._take()
        if not self._is_word(word):
            raise self._error(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> set[str]:
        if (word := self._take()) != "(":
            raise self._error(f"found '{word}' expected: '('")
        if self._peek() == ")":
            self._take()
            return set()
        if not self._is_word(self._peek()) and self._peek() != ",":
            raise self._error(f"found '{self._peek()}', expected: ',', ')' or identifier")
        values: set[str] = set()
        while True:
            word = self._take()
            if self._is_word(word):
                values.add(word)
                if self._peek() not in (",", ")"):
                    raise self._error(f"found '{self._peek()}', expected: ',' or ')'")
            elif word == ",":
                if not values or self._peek() in (")", ","):
                    values.add("")
            elif word == ")":
                return values
            else:
                raise self._error(f"found '{word}', expected: ',', or identifier")

    @staticmethod
    def _error(message: str) -> Exception:
        return bad_request(f"unable to parse requirement: {message}")


def validate_label_selector(selector: Mapping[str, Any], path: Path) -> list[FieldError]:
    """Every error of a LabelSelector object, at `path`."""
    errors = validate_labels(selector.get("matchLabels") or {}, path / "matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or ()):
        errors += _validate_expression(item, path / "matchExpressions" @ index)
    return errors


def _validate_expression(item: Mapping[str, Any], path: Path) -> list[FieldError]:
    operator, values = item.get("operator", ""), item.get("values") or ()
    errors = []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(path / "values", text))
    else:
        errors.append(invalid(path / "operator", operator, "not a valid selector operator"))
    key = item.get("key", "")
    errors += [invalid(path / "key", key, message) for message in is_qualified_name(key)]
    for index, value in enumerate(values):
        errors += [invalid(path / "values" @ index, value, message) for message in is_label_value(value)]
    return errors


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on a field: its value is, or with `negated` is not, `value`."""

    field: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        escaped = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.field}{'!=' if self.negated else '='}{escaped}"


ALWAYS_ALLOWED = ("metadata.name", "metadata.namespace")
"""The fields that every kind can be selected by."""


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All its terms must hold; without any it selects everything."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str, allowed: Iterable[str] = ()) -> "FieldSelector":
        r"""From the text of a `fieldSelector` parameter.

        Args:
            text: Terms `field=value`, `field==value`, `field!=value`, joined by commas; `\`, `,` and `=` in a value
                are escaped by a backslash.
            allowed: The fields that the kind offers beside its name and namespace.

        Raises:
            ApiError: BadRequest for a term that can't be understood or a field that can't be selected by.
        """
        terms = tuple(_term(part, text) for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", text, re.DOTALL))
        extra = frozenset(allowed)
        for term in terms:
            if term.field in extra or term.field in ALWAYS_ALLOWED:
                continue
            if extra:
                raise bad_request(f"field label not supported: {term.field}")
            known = ", ".join(f'"{name}"' for name in ALWAYS_ALLOWED)
            raise bad_request(f'"{term.field}" is not a known field selector: only {known}')
        return cls(terms)

    def matches(self, get: Callable[[str], str]) -> bool:
        """Whether an object is selected; `get` gives the text of its field, empty where it is missing."""
        return all((get(term.field) == term.value) is not term.negated for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The one value that `field` must have, None where the selector does not say."""
        return next((term.value for term in self.terms if term.field == field and not term.negated), None)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def _term(part: str, whole: str) -> Term:
    match = re.match(r"((?:\\.|[^=!\\]|!(?!=))*)(!=|==|=)", part, re.DOTALL)
    if not match:
        raise bad_request(f"invalid selector: '{whole}'; can't understand '{part}'")
    return Term(match.group(1), _unescape(part[match.end() :]), match.group(2) == "!=")


def _unescape(value: str) -> str:
    """Takes the backslashes out of a value; a bare special or an unknown escape is a BadRequest."""
    result, escaped = [], False
    for mark in value:
        if escaped:
            if mark not in "\\,=":
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{mark}")
            result.append(mark)
            escaped = False
        elif mark == "\\":
            escaped = True
        elif mark in ",=":
            raise bad_request(f"invalid field selector: unescaped character in value: {mark}")
        else:
            result.append(mark)
    if escaped:
        raise bad_request("invalid field selector: invalid escape sequence: \\")
    return "".join(result)
