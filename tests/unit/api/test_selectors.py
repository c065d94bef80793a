"""Selectors: the grammar, the messages, the matching."""

import pytest

from miniplane.api.selectors import EVERYTHING, NOTHING, FieldSelector, LabelSelector, validate_label_selector
from miniplane.api.validation import Path
from miniplane.errors import ApiError

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches", "printed"),
    [
        ("", True, ""),
        ("app=web", True, "app=web"),
        ("app == web , tier", True, "app=web,tier"),
        ("app!=web", False, "app!=web"),
        ("missing!=web", True, "missing!=web"),
        ("app in (web, api)", True, "app in (api,web)"),
        ("app notin (web)", False, "app notin (web)"),
        ("missing notin (web)", True, "missing notin (web)"),
        ("!app", False, "!app"),
        ("! missing", True, "!missing"),
        ("empty=", True, "empty="),
        ("empty in (,)", True, "empty in (,)"),
        ("empty in (,a)", True, "empty in (,a)"),
        ("n>4,n<6", True, "n>4,n<6"),
        ("app>4", False, "app>4"),
        ("in in (notin)", False, "in in (notin)"),
        ("app=web,app=api", False, "app=web,app=api"),
        ("example.com/app", False, "example.com/app"),
        ("app=web,", None, "found '', expected: identifier after ','"),
        (",", None, "found ',', expected: !, identifier, or 'end of string'"),
        ("app=web tier", None, "found 'tier', expected: ',' or 'end of string'"),
        ("app web", None, "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
        ("app in web", None, "unable to parse requirement: found 'web' expected: '('"),
        ("app in (web", None, "unable to parse requirement: found '', expected: ',' or ')'"),
        ("app in (=)", None, "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        (
            "app in ()",
            None,
            (
                "unable to parse requirement: values: Invalid value: []: "
                "for 'in', 'notin' operators, values set can't be empty"
            ),
        ),
        ("app=(", None, "unable to parse requirement: found '(', expected: identifier"),
        ("!", None, "unable to parse requirement: found '', expected: identifier"),
        ("!app=web", None, "found '=', expected: ',' or 'end of string'"),
        ("n>x", None, "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators"),
        ("app=%", None, 'unable to parse requirement: values[0][app]: Invalid value: "%": a valid label must be'),
        ("a/b/c", None, 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a qualified name must consist'),
    ],
)
def test_label_selector_text(text: str, matches: bool | None, printed: str) -> None:  # noqa: FBT001  a table's column
    """A text selects and prints as expected, or is a BadRequest that begins as expected."""
    if matches is None:
        with pytest.raises(ApiError) as caught:
            LabelSelector.parse(text)
        assert caught.value.code == 400
        assert caught.value.message.startswith(printed)
        return
    selector = LabelSelector.parse(text)
    assert selector.matches(LABELS) is matches
    assert str(selector) == printed


def test_label_selector_object() -> None:
    """The object form makes the same selector; none selects nothing, an empty one everything."""
    selector = LabelSelector.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "gone", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector == LabelSelector.parse("app=web,!gone,tier in (front,back)")
    assert selector.exact == {"app": "web"}
    assert selector.matches(LABELS)
    assert not LabelSelector.from_object(None).matches(LABELS)
    assert LabelSelector.from_object({}).matches({})
    assert LabelSelector.from_map({"app": "web"}).matches(LABELS)
    assert (bool(NOTHING), bool(EVERYTHING), bool(selector)) == (True, False, True)
    with pytest.raises(ApiError, match="not a valid label selector operator"):
        LabelSelector.from_object({"matchExpressions": [{"key": "a", "operator": "Like"}]})


def test_label_selector_validation() -> None:
    """A LabelSelector in an object gets an error per broken rule, with its path."""
    errors = validate_label_selector(
        {
            "matchLabels": {"-": "ok"},
            "matchExpressions": [
                {"key": "a", "operator": "In"},
                {"key": "a", "operator": "Exists", "values": ["x"]},
                {"key": "", "operator": "Like"},
                {"key": "a", "operator": "NotIn", "values": ["x y"]},
            ],
        },
        Path("spec.selector"),
    )
    assert [error.field for error in errors] == [
        "spec.selector.matchLabels",
        "spec.selector.matchExpressions[0].values",
        "spec.selector.matchExpressions[1].values",
        "spec.selector.matchExpressions[2].operator",
        "spec.selector.matchExpressions[2].key",
        "spec.selector.matchExpressions[2].key",
        "spec.selector.matchExpressions[3].values[0]",
    ]


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==b", False),
        ("metadata.name!=b,status.phase=Running", True),
        ("status.phase!=Running", False),
        (r"spec.x=1\,2\=3\\", True),
        ("metadata.namespace=", True),
        (",metadata.name=a,", True),
    ],
)
def test_field_selector(text: str, matches: bool) -> None:  # noqa: FBT001  a table's column
    """Terms compare the text of fields; a missing field is empty; backslashes escape."""
    values = {"metadata.name": "a", "status.phase": "Running", "spec.x": "1,2=3\\"}
    selector = FieldSelector.parse(text, ("status.phase", "spec.x"))
    assert selector.matches(lambda name: values.get(name, "")) is matches
    assert FieldSelector.parse(str(selector), ("status.phase", "spec.x")) == selector


@pytest.mark.parametrize(
    ("text", "allowed", "message"),
    [
        ("metadata.name", (), "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("a=b", ("c",), "field label not supported: a"),
        ("a=b", (), '"a" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ("metadata.name=a=b", (), "invalid field selector: unescaped character in value: ="),
        (r"metadata.name=\a", (), r"invalid field selector: invalid escape sequence: \a"),
    ],
)
def test_bad_field_selectors(text: str, allowed: tuple[str, ...], message: str) -> None:
    """What can't be understood or selected by is a BadRequest in upstream's words."""
    with pytest.raises(ApiError) as caught:
        FieldSelector.parse(text, allowed)
    assert (caught.value.code, caught.value.message) == (400, message)


def test_exact_field() -> None:
    """An index learns the one value that a field must have."""
    selector = FieldSelector.parse("metadata.name=a,metadata.namespace!=b")
    assert selector.exact("metadata.name") == "a"
    assert selector.exact("metadata.namespace") is None
