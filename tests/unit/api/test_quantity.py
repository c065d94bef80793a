"""Quantities are exact and print as upstream prints them."""

import pytest

from miniplane.api.quantity import Format, Quantity, canonical


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("1", "1"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1.1Gi", "1181116006400m"),
        ("0.5Gi", "512Mi"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("100k", "100k"),
        ("12e3", "12e3"),
        ("1e6", "1e6"),
        ("1E", "1E"),
        ("1E3", "1e3"),
        ("-2Gi", "-2Gi"),
        ("+3", "3"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("99999999999999999999", "9223372036854775807"),
    ],
)
def test_canonical_text(text: str, printed: str) -> None:
    """The largest suffix that loses nothing; binary amounts stay binary where they can."""
    assert canonical(text) == printed
    assert canonical(printed) == printed


@pytest.mark.parametrize("text", ["", "a", "1.2.3", ".", "1Kb", "1ki", "1e", "1 Gi", "--1", "1e99999", "9" * 1000])
def test_bad_text(text: str) -> None:
    """What is no quantity is a ValueError."""
    with pytest.raises(ValueError, match="quantit"):
        Quantity.parse(text)


def test_numbers_from_json() -> None:
    """A JSON number is a quantity too."""
    assert (canonical(2), canonical(0.5)) == ("2", "500m")


def test_arithmetic_and_order() -> None:
    """Amounts add, subtract and compare across suffixes; a sum is written as its first part."""
    half, two = Quantity.parse("500m"), Quantity.of(2)
    assert str(half + two) == "2500m"
    assert str(two - half * 3) == "500m"
    assert half < two
    assert Quantity.parse("1Ki") == Quantity.of(1024)
    assert len({Quantity.parse("1Ki"), Quantity.of(1024)}) == 1
    assert (Quantity.of(0) + Quantity.parse("1Gi")).format is Format.BINARY
    assert (Quantity.parse("1100m").value, Quantity.parse("-1100m").value, Quantity.parse("1u").milli) == (2, -1, 1)
    assert not Quantity.parse("0")
    assert str(-two) == "-2"
