"""What ConfigMaps and Secrets have in common: bytes under keys, a limit of size, and a lock."""

import base64
import binascii
from collections.abc import Mapping, Sequence

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError, forbidden
from miniplane.kinds.fields import flag

SIZE_LIMIT = 1024 * 1024
"""Bytes that all values together may have."""


def decode(value: str) -> bytes | None:
    """The bytes of a standard base64 text, line breaks allowed; None where it is none."""
    try:
        return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def size(values: Mapping[str, str]) -> int:
    """The bytes behind base64 texts."""
    return sum(len(decode(value) or b"") for value in values.values())


def frozen_errors(new: Object, old: Object, keys: Sequence[str]) -> list[FieldError]:
    """Errors for changes to what has been made immutable; it can't be unlocked either."""
    if not flag(old, "immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    changed = [key for key in keys if (new.get(key) or {}) != (old.get(key) or {})]
    unlocked = [] if flag(new, "immutable") else ["immutable"]
    return [forbidden(key, text) for key in (*unlocked, *changed)]
