"""Functions of strings: cel-go's extension at version 2, and Kubernetes' `find` and `findAll`.

Positions count characters. Regular expressions are RE2's: no text makes one slow. Counterpart upstream: cel-go,
ext/strings.go, and k8s.io/apiserver, pkg/cel/library/regex.go.
"""

import importlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from miniplane.api.cel.functions import Function, FunctionError

_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LENGTH_LIMIT = 1 << 20
"""Characters of a text that a function makes."""


def _bounded(text: str) -> str:
    if len(text) > _LENGTH_LIMIT:
        raise FunctionError(f"text is longer than {_LENGTH_LIMIT} characters")
    return text


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise FunctionError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text):
        if not part:
            return start
        raise FunctionError(f"index out of range: {start}")
    return text.find(part, start)


def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not 0 <= start < max(len(text), 1):
        raise FunctionError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


def _join(parts: Sequence[Any], separator: str = "") -> str:
    if not all(isinstance(part, str) for part in parts):
        raise FunctionError("no such overload")
    return _bounded(separator.join(parts))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    places = text.count(old) if count < 0 else min(count, text.count(old))
    if len(text) + places * (len(new) - len(old)) > _LENGTH_LIMIT:
        raise FunctionError(f"text is longer than {_LENGTH_LIMIT} characters")
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        limit = len(text) if count < 0 else count - 1
        return [*text[:limit], text[limit:]] if len(text) > limit else list(text)
    return text.split(separator, count - 1 if count > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if start > end:
        raise FunctionError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise FunctionError(f"index out of range: {index}")
    return text[start:end]


def _format(template: str, values: Sequence[Any]) -> str:
    result, rest, given = [], template, iter(values)
    while rest:
        head, percent, rest = rest.partition("%")
        result.append(head)
        if not percent:
            break
        if rest.startswith("%"):
            result.append("%")
            rest = rest[1:]
            continue
        precision = ""
        if rest.startswith("."):
            digits = len(rest) - len(rest[1:].lstrip("0123456789")) - 1
            precision, rest = rest[1 : 1 + digits], rest[1 + digits :]
        if not rest:
            raise FunctionError("unexpected end of string")
        try:
            value = next(given)
        except StopIteration:
            raise FunctionError(f"index {len(values)} out of range") from None
        result.append(_formatted(rest[0], value, int(precision[:3] or 6)))
        rest = rest[1:]
    return _bounded("".join(result))


def _formatted(verb: str, value: Any, precision: int) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match verb:
        case "s":
            return _text(value)
        case "d" if number and value == int(value):
            return str(int(value))
        case "f" | "e" if number:
            return f"{value:.{precision}{verb}}"
        case "b" if isinstance(value, int):
            return f"{int(value):b}"
        case "o" if isinstance(value, int) and number:
            return f"{value:o}"
        case "x" | "X" if isinstance(value, int) and number:
            return f"{value:{verb}}"
        case "x" | "X" if isinstance(value, str | bytes | bytearray):
            digits = (value.encode() if isinstance(value, str) else bytes(value)).hex()
            return digits.upper() if verb == "X" else digits
        case "d" | "f" | "e" | "b" | "o" | "x" | "X":
            raise FunctionError(f"error during formatting: %{verb} does not take {type(value).__name__}")
        case _:
            raise FunctionError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _text(value: Any) -> str:
    """A value as `%s` writes it."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in sorted(value.items(), key=str)) + "}"
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e21 else repr(value)  # noqa: PLR2004  Go's border of %g
    return str(value)


def _quote(text: str) -> str:
    escapes = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    escapes |= {"\\": "\\\\", '"': '\\"'}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


@lru_cache(maxsize=1024)
def pattern(text: str) -> Any:
    """A regular expression in RE2's syntax, as Go's.

    Raises:
        FunctionError: It is none.
    """
    re2: Any = importlib.import_module("re2")  # with the language's runtime, not before
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        why = error.args[0]
        raise FunctionError(f"error parsing regexp: {why.decode() if isinstance(why, bytes) else why}") from error


def _find(text: str, regex: str) -> str:
    match = pattern(regex).search(text)
    return match.group(0) if match else ""


def _find_all(text: str, regex: str, count: int = -1) -> list[str]:
    found: list[str] = []
    for match in pattern(regex).finditer(text):
        if len(found) == count:
            break
        found.append(match.group(0))
    return found


FUNCTIONS = (
    Function("charAt", ("string", "int"), "string", _char_at),
    Function("indexOf", ("string", "string"), "int", _index_of),
    Function("indexOf", ("string", "string", "int"), "int", _index_of),
    Function("lastIndexOf", ("string", "string"), "int", _last_index_of),
    Function("lastIndexOf", ("string", "string", "int"), "int", _last_index_of),
    Function("join", ("list",), "string", _join),
    Function("join", ("list", "string"), "string", _join),
    Function("lowerAscii", ("string",), "string", lambda text: text.translate(_LOWER)),
    Function("upperAscii", ("string",), "string", lambda text: text.translate(_UPPER)),
    Function("replace", ("string", "string", "string"), "string", _replace),
    Function("replace", ("string", "string", "string", "int"), "string", _replace),
    Function("split", ("string", "string"), "strings", _split),
    Function("split", ("string", "string", "int"), "strings", _split),
    Function("substring", ("string", "int"), "string", _substring),
    Function("substring", ("string", "int", "int"), "string", _substring),
    Function("trim", ("string",), "string", lambda text: text.strip(_SPACE)),
    Function("format", ("string", "list"), "string", _format),
    Function("strings.quote", ("string",), "string", _quote, is_member=False),
    Function("find", ("string", "string"), "string", _find),
    Function("findAll", ("string", "string"), "strings", _find_all),
    Function("findAll", ("string", "string", "int"), "strings", _find_all),
)
