"""Remembers which pod specs broke no rule: the pods of one template are alike, and each is written more than once.

Pure all the same: what is remembered is what the rules would say again.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b

import orjson

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError

_KEPT = 1024
"""Specs remembered, by a digest of 16 bytes."""


class Accepted:
    """Rules with a memory of the specs that they passed."""

    def __init__(self, rules: Callable[[Object], Sequence[FieldError]]) -> None:
        self._rules = rules
        self._seen = lru_cache(maxsize=_KEPT)(_Mark)

    def errors(self, spec: Object) -> Sequence[FieldError]:
        """What the rules say of a spec."""
        try:
            data = orjson.dumps(spec)
        except TypeError:  # an object that no JSON makes
            return self._rules(spec)
        mark = self._seen(blake2b(data, digest_size=16).digest())
        if mark.passed:
            return ()
        errors = self._rules(spec)
        mark.passed = not errors
        return errors


class _Mark:
    """What is known of a spec."""

    __slots__ = ("passed",)

    def __init__(self, _digest: bytes) -> None:
        self.passed = False
