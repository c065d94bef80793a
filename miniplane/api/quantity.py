"""Quantities: exact numbers with the suffixes of resource amounts, `250m`, `1Gi`, `1e3`.

A quantity counts in units of 10⁻⁹, rounded away from zero, at most 2⁶³-1, as upstream. It keeps the family of suffixes
that it was written in; its text is canonical: no fraction, the largest suffix that loses nothing. Counterpart upstream:
k8s.io/apimachinery, pkg/api/resource.
"""

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache, total_ordering

_NANO = 10**9
_LIMIT = (2**63 - 1) * _NANO
_FORM = re.compile(r"([+-]?)([0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_BINARY = {0: "", 1: "Ki", 2: "Mi", 3: "Gi", 4: "Ti", 5: "Pi", 6: "Ei"}
_DECIMAL_BY_SUFFIX = {suffix: exponent for exponent, suffix in _DECIMAL.items()}
_BINARY_BY_SUFFIX = {suffix: exponent for exponent, suffix in _BINARY.items() if suffix}

FORM_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SUFFIX_MESSAGE = "unable to parse quantity's suffix"
_NUMBER_MESSAGE = "unable to parse numeric part of quantity"
_LENGTH_LIMIT = 128
"""Upstream has none; a longer text is no amount of anything."""


class Format(Enum):
    """The family of suffixes."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An amount in billionths, and how it is written; equal amounts are equal however they are written."""

    nano: int
    format: Format = Format.DECIMAL

    @classmethod
    def parse(cls, text: str | float) -> "Quantity":
        """From its text, or from a JSON number.

        Raises:
            ValueError: With upstream's message.
        """
        return _parse(text if isinstance(text, str) else repr(text))

    @classmethod
    def of(cls, whole: int) -> "Quantity":
        """A whole number."""
        return cls(whole * _NANO)

    @property
    def value(self) -> int:
        """The whole number, rounded up."""
        return -(-self.nano // _NANO)

    @property
    def milli(self) -> int:
        """The thousandths, rounded up."""
        return -(-self.nano // 10**6)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __eq__(self, other: object) -> bool:
        return self.nano == other.nano if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: "Quantity") -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def __mul__(self, times: int) -> "Quantity":
        return Quantity(self.nano * times, self.format)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nano, self.format)

    def __str__(self) -> str:
        if not self.nano:
            return "0"
        if self.format is Format.BINARY and abs(self.nano) >= 1024 * _NANO and self.nano % _NANO == 0:
            return self._binary()
        number, exponent = self.nano, -9
        while number % 1000 == 0 and exponent < 18:  # noqa: PLR2004  the largest suffix is 10^18
            number, exponent = number // 1000, exponent + 3
        if self.format is Format.EXPONENT:
            return f"{number}e{exponent}" if exponent else str(number)
        return f"{number}{_DECIMAL[exponent]}"

    def _binary(self) -> str:
        number, exponent = self.nano // _NANO, 0
        while number % 1024 == 0 and exponent < 6:  # noqa: PLR2004  the largest suffix is 1024^6
            number, exponent = number // 1024, exponent + 1
        return f"{number}{_BINARY[exponent]}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    match = _FORM.fullmatch(text) if len(text) <= _LENGTH_LIMIT else None
    if not match:
        raise ValueError(FORM_MESSAGE)
    sign, number, suffix = match.groups()
    if number.count(".") > 1 or number == ".":
        raise ValueError(_NUMBER_MESSAGE)
    factor, form = _suffix(suffix)
    exact = Fraction(number) * factor * _NANO
    nano = min(-(-exact.numerator // exact.denominator), _LIMIT)
    if form is Format.BINARY and 0 < nano < _NANO:
        form = Format.DECIMAL
    return Quantity(-nano if sign == "-" else nano, form)


def _suffix(suffix: str) -> tuple[Fraction, Format]:
    if (decimal := _DECIMAL_BY_SUFFIX.get(suffix)) is not None:
        return Fraction(10) ** decimal, Format.DECIMAL
    if (binary := _BINARY_BY_SUFFIX.get(suffix)) is not None:
        return Fraction(1024**binary), Format.BINARY
    if re.fullmatch(r"[eE][-+]?[0-9]{1,3}", suffix, re.ASCII):
        return Fraction(10) ** int(suffix[1:]), Format.EXPONENT
    raise ValueError(_SUFFIX_MESSAGE)


def canonical(text: str | float) -> str:
    """The canonical text of an amount.

    Raises:
        ValueError: With upstream's message.
    """
    return str(Quantity.parse(text))
