"""Laws of selectors."""

from hypothesis import given
from hypothesis import strategies as st

from miniplane.api.selectors import FieldSelector, LabelSelector, Operator, Requirement, Term

KEYS = st.sampled_from(("a", "b", "in", "notin", "x.io/c"))
VALUES = st.sampled_from(("", "1", "2", "in", "web-1.0_x"))
LABELS = st.dictionaries(KEYS, VALUES)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    """Any valid requirement."""
    key, operator = draw(KEYS), draw(st.sampled_from(Operator))
    if operator in (Operator.EXISTS, Operator.NOT_EXISTS):
        return Requirement(key, operator)
    if operator in (Operator.GREATER, Operator.LESS):
        return Requirement(key, operator, frozenset((str(draw(st.integers(-5, 5))),)))
    size = 1 if operator in (Operator.EQUALS, Operator.NOT_EQUALS) else 3
    return Requirement(key, operator, draw(st.frozensets(VALUES, min_size=1, max_size=size)))


@given(st.lists(requirements(), max_size=4))
def test_label_selectors_print_and_parse(items: list[Requirement]) -> None:
    """A printed selector is read back as itself, except that negative numbers are no label values."""
    if any(
        "-" in value for item in items for value in item.values if item.operator in (Operator.GREATER, Operator.LESS)
    ):
        return
    selector = LabelSelector.of(items)
    assert LabelSelector.parse(str(selector)) == selector


@given(st.lists(requirements(), max_size=4), LABELS)
def test_matching_is_the_conjunction(items: list[Requirement], labels: dict[str, str]) -> None:
    """The compiled selector agrees with asking each requirement."""
    assert LabelSelector.of(items).matches(labels) == all(item.matches(labels) for item in items)


@given(requirements(), LABELS)
def test_negation(item: Requirement, labels: dict[str, str]) -> None:
    """`notin` is exactly not `in`, `!=` not `=`, `!key` not `key`."""
    opposite = {
        Operator.IN: Operator.NOT_IN,
        Operator.EQUALS: Operator.NOT_EQUALS,
        Operator.EXISTS: Operator.NOT_EXISTS,
    }.get(item.operator)
    if opposite:
        assert Requirement(item.key, opposite, item.values).matches(labels) is not item.matches(labels)


@given(st.lists(st.builds(Term, st.sampled_from(("a", "b.c")), st.text(alphabet="ab,=\\! "), st.booleans())))
def test_field_selectors_print_and_parse(terms: list[Term]) -> None:
    """A printed selector is read back as itself, whatever its values hold."""
    selector = FieldSelector(tuple(terms))
    assert FieldSelector.parse(str(selector), ("a", "b.c")) == selector
