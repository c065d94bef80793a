"""Bodies and manifests: JSON or YAML bytes become an object, with what was written twice.

Limits are part of the contract: nesting, and how far YAML aliases may unfold. YAML is read as JSON's data model: dates
stay text, keys become text, each alias is its own copy. Counterpart upstream: k8s.io/apimachinery,
pkg/runtime/serializer/json, and sigs.k8s.io/yaml.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from miniplane.api.kind import Object
from miniplane.errors import ApiError, bad_request, unsupported_media_type

JSON = "application/json"
YAML = "application/yaml"
APPLY_YAML = "application/apply-patch+yaml"
MEDIA_TYPES = (JSON, YAML)
"""What a body may be, for the text of an error."""

DEPTH_LIMIT = 128
"""How deep a body may nest: far beyond any real object, and safe for every recursive walk over it."""
YAML_NODE_LIMIT = 1_000_000
"""How many values a YAML document may have after its aliases are unfolded."""

_YAML_TYPES = frozenset((YAML, APPLY_YAML, "application/x-yaml", "text/yaml", "text/x-yaml"))


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body says; `duplicate_fields` are the paths of keys given twice, of which the last counts."""

    obj: Object
    duplicate_fields: tuple[str, ...] = ()


def media_type(content_type: str) -> str:
    """The type alone: lower case, no parameters."""
    return content_type.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str = JSON) -> Decoded:
    """The object in a request body; no content type at all means JSON.

    Raises:
        ApiError: BadRequest for what is no object, or nests too deep; UnsupportedMediaType for other content types.
    """
    kind = media_type(content_type) or JSON
    if kind == JSON:
        return _decode_json(body)
    if kind not in _YAML_TYPES:
        raise unsupported_media_type(kind, MEDIA_TYPES)
    documents = list(decode_all(body))
    if len(documents) != 1:
        raise _unreadable(f"{len(documents)} YAML documents where one object is wanted")
    return documents[0]


def decode_all(text: bytes | str) -> Iterator[Decoded]:
    """The objects of a manifest in YAML (of which JSON is a part), one for each document that is not empty.

    Raises:
        ApiError: BadRequest, naming line and column.
    """
    try:
        builder = _Builder()
        for event in yaml.parse(text, Loader=_Parser):
            builder.feed(event)
            if isinstance(event, yaml.DocumentEndEvent) and builder.result is not None:
                yield Decoded(_object(builder.result), tuple(builder.duplicates))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(f"yaml: {' '.join(str(error).split())}") from error


def parse_json(body: bytes) -> Any:
    """Any JSON value, such as a JSON patch; the nesting limit holds.

    Raises:
        ApiError: BadRequest for what is no JSON.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"json parse error: {error}") from error
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT:
        check_depth(value)
    return value


def _unreadable(why: str) -> ApiError:
    return bad_request(f"the object provided is unrecognized: couldn't get version/kind; {why}")


def _object(value: Any) -> Object:
    if isinstance(value, dict):
        return value
    word = {list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")
    raise _unreadable(f"json parse error: json: cannot unmarshal {word} into Go value of type object")


def check_depth(value: Any) -> None:
    """Refuses a value that nests deeper than the limit.

    Raises:
        ApiError: BadRequest.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise _unreadable(f"json parse error: nested deeper than {DEPTH_LIMIT}")
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]


def _decode_json(body: bytes) -> Decoded:
    obj = _object(parse_json(body))
    body = body.strip()
    if orjson.dumps(obj) == body:
        return Decoded(obj)  # canonical bytes have no key twice; most clients write them
    duplicates: list[str] = []
    _find_duplicates(json.loads(body, object_pairs_hook=_Pairs), "", duplicates)
    return Decoded(obj, tuple(duplicates))


class _Pairs(list[tuple[str, Any]]):
    """An object as written, keys in order and maybe twice."""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _find_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, child in value:
            below = _join(path, key)
            if key in seen:
                found.append(below)
            seen.add(key)
            _find_duplicates(child, below, found)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _find_duplicates(child, f"{path}[{index}]", found)


_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C parser where PyYAML was built with it. Only its events are used: its composer recurses without a limit."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"(true|True|TRUE|yes|Yes|YES|on|On|ON)|false|False|FALSE|no|No|NO|off|Off|OFF")
_INT = re.compile(r"[-+]?(0b[01]+|0o[0-7]+|0[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_STR_TAG = "tag:yaml.org,2002:str"
_DIGITS_LIMIT = 40
"""A longer number stays text: no field takes one, and reading it would cost its square."""


def _scalar(event: Any) -> Any:
    """The JSON value of a scalar; quoted ones and those tagged as text are text."""
    text: str = event.value
    if not event.implicit[0] and event.tag in (None, "!", _STR_TAG):
        return text
    if _NULL.fullmatch(text):
        return None
    if match := _BOOL.fullmatch(text):
        return match.group(1) is not None
    if len(text) > _DIGITS_LIMIT:
        return text
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdecimal():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return [_copy(child) for child in value] if isinstance(value, list) else value


@dataclass(slots=True)
class _Frame:
    """An open collection: what has come so far, and how many levels that has below."""

    value: Any
    anchor: str | None
    first: int
    key: str | None = None
    is_merge: bool = False
    merged: list[Object] = field(default_factory=list)
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchor:
    value: Any
    size: int
    height: int


class _Builder:
    """Makes values of parser events on a stack of its own: hostile text meets a limit, not the end of C's."""

    def __init__(self) -> None:
        self.result: Any = None
        self.duplicates: list[str] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._size = 0

    def feed(self, event: Any) -> None:
        """Takes the next event; `result` is complete at the end of a document."""
        match event:
            case yaml.DocumentStartEvent():
                self.__init__()  # type: ignore[misc]  # a document shares nothing with the one before
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.SequenceStartEvent():
                self._open([], event)
            case yaml.MappingStartEvent():
                self._open({}, event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._close()
            case _:
                pass

    def _grow(self, size: int, height: int) -> None:
        self._size += size
        if self._size > YAML_NODE_LIMIT:
            raise _unreadable(f"yaml: more than {YAML_NODE_LIMIT} values")
        if len(self._stack) + height > DEPTH_LIMIT:
            raise _unreadable(f"yaml: nested deeper than {DEPTH_LIMIT}")

    def _scalar(self, event: Any) -> None:
        self._grow(1, 0)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            frame.is_merge = event.value == "<<" and event.implicit[0]
        value = _scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, 1, 0)
        self._put(value, 0)

    def _alias(self, event: Any) -> None:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            raise _unreadable(f"yaml: line {event.start_mark.line + 1}: unknown alias '{event.anchor}'")
        self._grow(anchor.size, anchor.height)
        self._put(_copy(anchor.value), anchor.height)

    def _open(self, value: Any, event: Any) -> None:
        self._grow(1, 1)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            raise _unreadable(f"yaml: line {event.start_mark.line + 1}: a key must be a scalar")
        self._stack.append(_Frame(value, event.anchor, self._size))

    def _close(self) -> None:
        frame = self._stack.pop()
        value = frame.value
        for source in frame.merged:
            value = source | value
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchor(value, self._size - frame.first + 1, frame.height)
        self._put(value, frame.height)

    def _put(self, value: Any, height: int) -> None:
        if not self._stack:
            self.result = value
            return
        frame = self._stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            frame.key = _key(value)
        elif frame.is_merge:
            frame.merged += [_object(item) for item in (value if isinstance(value, list) else [value])]
            frame.key = None
        else:
            if frame.key in frame.value:
                self.duplicates.append(self._path())
            frame.value[frame.key] = value
            frame.key = None

    def _path(self) -> str:
        path = ""
        for frame in self._stack:
            path = f"{path}[{len(frame.value)}]" if isinstance(frame.value, list) else _join(path, frame.key or "")
        return path


def _key(value: Any) -> str:
    if isinstance(value, dict | list):
        raise _unreadable("yaml: a key must be a scalar")
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
