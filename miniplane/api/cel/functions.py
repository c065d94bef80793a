"""How a function of the expression language is declared."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


class FunctionError(Exception):
    """A function does not take these values; the text becomes the error of the evaluation."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function over plain Python values.

    `parameters` are words: `string int double bool bytes list map timestamp duration null`; several joined by `|` make
    an overload each. A member's first parameter is what stands before the dot. `result` is one such word, `strings`
    for a list of them, or `dyn`.
    """

    name: str
    parameters: tuple[str, ...]
    result: str
    call: Callable[..., Any]
    is_member: bool = True

    def choices(self) -> Iterator[tuple[str, ...]]:
        """Every combination of the parameters' types."""
        return itertools.product(*(word.split("|") for word in self.parameters))
