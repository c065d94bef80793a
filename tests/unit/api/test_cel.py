"""The expression language: what Kubernetes' rules are made of, its own functions, and errors in upstream's words."""

from typing import Any

import pytest

from miniplane.api import cel
from miniplane.api.cel import BUDGET_MESSAGE, CelError, Function, FunctionError

HOLDS: tuple[tuple[str, Any], ...] = (
    # the language
    ("has(self.a) ? self.a == 1 : true", {}),
    ("self.all(x, x.startsWith('a'))", ["ab", "ac"]),
    ("!self.exists_one(x, x == 'a')", ["a", "b", "a"]),
    ("self.map(x, x * 2) == [2, 4]", [1, 2]),
    ("self.map(x, x > 1, x * 2) == [4]", [1, 2]),
    ("self.filter(x, x > 1) == [2]", [1, 2]),
    ("self.all(k, k.matches('^[a-z]+$'))", {"abc": 1}),
    ("self.matches('^(?i)ABC$')", "abc"),
    ("'a' in self && !('b' in self)", {"a": 1}),
    ("self.a == 1.0 && self.a < 1.5", {"a": 1}),
    ("-7 / 2 == -3 && -7 % 3 == -1", None),
    ("duration('90s').getMinutes() == 1", None),
    ("timestamp('2020-01-01T00:00:00Z').getFullYear() == 2020", None),
    ("type(self) == int", 1),
    ("self.?a.orValue(5) == 5 && !self.?a.hasValue()", {}),
    ("self.?a.?b.optMap(x, x + 1).orValue(0) == 3", {"a": {"b": 2}}),
    ("[?self.?x, 1] == [1] && {?'x': self.?x, 'b': 1} == {'b': 1}", {}),
    ("[0, 1].exists(x, 1 / x == 1)", None),
    ("self.nope || true", {}),
    ("self.size() == 6", "héllo\U0001f600"),
    ("self.x == null", {"x": None}),
    ("self == oldSelf", {"a": [1, 2.0]}),
    # strings
    ("self.split('.') == ['a', 'b', 'c']", "a.b.c"),
    ("self.split('.', 2) == ['a', 'b.c']", "a.b.c"),
    ("'abc'.split('') == ['a', 'b', 'c']", None),
    ("self.charAt(1) == 'b' && self.indexOf('c') == 2 && self.lastIndexOf('a') == 3", "abca"),
    ("self.substring(1, 3) == 'bc' && self.substring(3) == ''", "abc"),
    ("'ABÄ'.lowerAscii() == 'abÄ' && 'ab'.upperAscii() == 'AB' && ' a '.trim() == 'a'", None),
    ("'aXbX'.replace('X', 'y') == 'ayby' && 'aXbX'.replace('X', 'y', 1) == 'aybX'", None),
    ("['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab'", None),
    ("'%s is %d, %.2f %x %s'.format(['a', 5, 1.5, 255, [1, true]]) == 'a is 5, 1.50 ff [1, true]'", None),
    ("'abc123'.find('[0-9]+') == '123' && 'x'.find('[0-9]') == ''", None),
    ("'a1b2'.findAll('[0-9]') == ['1', '2'] && 'a1b2'.findAll('[0-9]', 1) == ['1']", None),
    # lists and sets
    ("[1, 2, 3].sum() == 6 && [1.5, 2.0].sum() == 3.5 && [].sum() == 0", None),
    ("self.isSorted() && self.min() == 1 && self.max() == 3", [1, 2, 3]),
    ("self.indexOf('b') == 1 && self.lastIndexOf('b') == 2 && self.indexOf('z') == -1", ["a", "b", "b"]),
    ("sets.contains(self, [1]) && sets.equivalent(self, [2, 1, 1]) && sets.intersects(self, [2, 9])", [1, 2]),
    # quantities
    ("isQuantity('1Gi') && !isQuantity('1Zi')", None),
    ("quantity('1Gi').isGreaterThan(quantity('1Mi')) && quantity(self) == quantity('1Gi')", "1024Mi"),
    ("quantity('1').add(quantity('2')).add(1) == quantity('4') && quantity('5').sub(1).asInteger() == 4", None),
    ("quantity('100m').compareTo(quantity('0.1')) == 0 && !quantity('100m').isInteger()", None),
    # addresses, networks, URLs
    ("isIP('1.2.3.4') && !isIP('1.2.3') && !isIP('::ffff:1.2.3.4') && ip('1.2.3.4').family() == 4", None),
    ("ip('0:0::1') == ip('::1') && !ip.isCanonical('0:0::1') && ip('::1').isLoopback()", None),
    ("ip('10.0.0.1').isGlobalUnicast() && ip('169.254.0.1').isLinkLocalUnicast()", None),
    ("cidr('10.0.0.0/8').containsIP(self) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "10.1.2.3"),
    ("cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8", None),
    ("isURL('https://a.b') && !isURL('no url') && url(self).getHost() == 'a.b:80'", "https://a.b:80/c?d=e"),
    (
        "url(self).getHostname() == '::1' && url(self).getPort() == '8' && url(self).getQuery()['d'] == ['e']",
        "x://[::1]:8?d=e",
    ),
)


@pytest.mark.parametrize(("expression", "value"), HOLDS, ids=[expression for expression, _ in HOLDS])
def test_holds(expression: str, value: Any) -> None:
    """What holds in upstream's language holds here."""
    assert cel.compile(expression, ("self", "oldSelf")).evaluate({"self": value, "oldSelf": value}) is True


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        ("self.a.b", {}, "no such key: a"),
        ("self[3]", [1], "index out of bounds: 3"),
        ("self.startsWith('x')", 5, "no such overload"),
        ("1 / self", 0, "division by zero"),
        ("self.min() == 1", [], "min called on empty list"),
        ("quantity(self) == quantity('1')", "x", "quantities must match"),
        ("self.find('(') == ''", "x", "error parsing regexp"),
        ("self.sum() == 1", ["a"], "no such overload"),
        ("self.replace('', self) == ''", "x" * 2000, "longer than"),
    ],
)
def test_failing_evaluation(expression: str, value: Any, message: str) -> None:
    """An evaluation that fails says why as upstream does."""
    with pytest.raises(CelError, match=message) as caught:
        cel.compile(expression, ("self",)).evaluate({"self": value})
    assert not caught.value.over_budget


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("self +", "Syntax error"),
        ("nope(1)", "undeclared reference to 'nope'"),
        ("other == 1", "undeclared reference to 'other'"),
        ("1 + 'a'", r"found no matching overload for '_\+_' applied to '\(int, string\)'"),
    ],
)
def test_compile_error(expression: str, message: str) -> None:
    """What is no expression is refused with the place of the fault marked."""
    with pytest.raises(CelError, match=f"^ERROR: <input>:1:[0-9]+: {message}"):
        cel.compile(expression, ("self",))


def test_result_type() -> None:
    """A program knows the type of its result before it is evaluated, where that can be known."""
    assert cel.compile("self == 1", ("self",)).result_type == "BOOL"
    assert cel.compile("'a' + 'b'", ("self",)).result_type == "STRING"
    assert cel.compile("self.x", ("self",)).result_type == "DYN"


def test_iterations_are_limited() -> None:
    """An expression that would take for ever ends with upstream's word for it."""
    program = cel.compile("self.all(x, self.all(y, self.all(z, x + y + z > 0)))", ("self",))
    with pytest.raises(CelError, match=BUDGET_MESSAGE) as caught:
        program.evaluate({"self": list(range(1, 101))})
    assert caught.value.over_budget


def test_hostile_pattern_is_quick() -> None:
    """A pattern that makes a backtracking matcher take for ever is no trouble."""
    assert cel.compile("self.find('^(a+)+$') == ''", ("self",)).evaluate({"self": "a" * 50_000 + "b"}) is True


def test_own_functions() -> None:
    """A caller may add functions; what they raise is the evaluation's error."""

    def half(number: int) -> int:
        if number % 2:
            raise FunctionError("odd")
        return number // 2

    functions = (Function("half", ("int",), "int", half),)
    program = cel.compile("self.half() == 2", ("self",), functions)
    assert program.evaluate({"self": 4}) is True
    with pytest.raises(CelError, match=r"^odd$"):
        program.evaluate({"self": 3})
    with pytest.raises(CelError, match="undeclared reference to 'half'"):
        cel.compile("self.half() == 2", ("self",))
