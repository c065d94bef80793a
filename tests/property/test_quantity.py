"""Laws of quantities."""

from hypothesis import given
from hypothesis import strategies as st

from miniplane.api.quantity import Format, Quantity

QUANTITIES = st.builds(Quantity, st.integers(-(10**18), 10**18), st.sampled_from(Format))


@given(QUANTITIES)
def test_print_and_parse(quantity: Quantity) -> None:
    """No amount is lost in its text, which is a fixed point unless a binary amount prints without suffix."""
    text = str(quantity)
    back = Quantity.parse(text)
    assert back == quantity
    assert str(back) == text or (quantity.format is Format.BINARY and not text.endswith("i"))


@given(QUANTITIES, QUANTITIES)
def test_sums(one: Quantity, other: Quantity) -> None:
    """Adding and taking away again changes nothing; order agrees with the difference."""
    assert one + other - other == one
    assert (one < other) == ((other - one).nano > 0)
