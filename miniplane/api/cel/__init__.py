"""The Common Expression Language: compile once, evaluate often. For CRD rules, admission policies and match conditions.

    program = cel.compile("self.replicas <= self.max", ("self",))
    program.evaluate({"self": {"replicas": 2, "max": 3}})  # True

The language is Google's own runtime; the functions that Kubernetes adds to it are in the modules beside this one.
Variables are of dynamic type, so a misspelt field is an error of evaluation and not of compilation (docs/adr/0030).
Counterpart upstream: k8s.io/apiserver, pkg/cel.
"""

import importlib
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from miniplane.api.cel import lists, network, quantities, strings
from miniplane.api.cel.functions import Function, FunctionError

__all__ = ["BUDGET_MESSAGE", "LENGTH_LIMIT", "CelError", "Function", "FunctionError", "Program", "compile"]

LENGTH_LIMIT = 32 * 1024
"""Characters of one expression; upstream's parser stops at 100,000."""
BUDGET_MESSAGE = "validation failed due to running out of cost budget, no further validation rules will be run"
"""The message of an evaluation that would take too long: the library ends one after 10,000 iterations."""
_CACHED = 4096
"""Programs that are kept: the rules of a large CRD are a few hundred."""

_STATUS = re.compile(r"^[A-Z_]+: ")
_CODE = re.compile(r" \[[A-Z_]+\]$")
_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    # What the library says, and how clients know it from upstream's.
    (re.compile(r'Key not found in map : "?(.*?)"?$'), r"no such key: \1"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+"), r"index out of bounds: \1"),
    (re.compile(r"No matching overloads found.*", re.DOTALL), "no such overload"),
    (re.compile(r"divide by zero"), "division by zero"),
    (re.compile(r"modulus by zero"), "modulus by zero"),
)


class CelError(Exception):
    """An expression that is none, or whose evaluation failed; the text is what upstream's runtime says.

    `over_budget` says that it was not the expression's value but its cost that was refused.
    """

    def __init__(self, message: str, *, over_budget: bool = False) -> None:
        super().__init__(message)
        self.over_budget = over_budget


class Program:
    """A compiled expression; may be kept and evaluated as often as one likes."""

    __slots__ = ("_compiled", "expression", "result_type")

    def __init__(self, expression: str, compiled: Any) -> None:
        self.expression = expression
        self._compiled = compiled
        self.result_type: str = compiled.return_type().name()
        """`BOOL`, `STRING`, `INT`, … or `DYN` where that shows only when evaluated."""

    def __repr__(self) -> str:
        return f"<Program {self.expression!r}>"

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """The value, as JSON's types (and bytes, times and durations), for values of the variables.

        Raises:
            CelError: The evaluation failed or took too long.
        """
        try:
            result = self._compiled.eval(data=bindings)
            value = result.plain_value()
        except RuntimeError as error:
            text = _stripped(str(error))
            over = "Iteration budget exceeded" in text
            raise CelError(BUDGET_MESSAGE if over else _upstream(text), over_budget=over) from error
        except TypeError as error:  # an optional, a function: nothing that JSON could hold
            raise CelError(f"the result of {self.expression!r} has no JSON form") from error
        if result.type().name() == "ERROR":
            raise CelError(_upstream(_stripped(str(value))))
        return value


def compile(expression: str, variables: Collection[str], functions: Collection[Function] = ()) -> Program:  # noqa: A001  what it does
    """The program of an expression over `variables`; `functions` are there beside Kubernetes' own.

    The same arguments give the same program. Functions are compared by identity: make them once.

    Raises:
        CelError: Syntax, an unknown name, or types that can't fit.
    """
    return _compile(expression, frozenset(variables), tuple(functions))


@lru_cache(maxsize=_CACHED)
def _compile(expression: str, variables: frozenset[str], functions: tuple[Function, ...]) -> Program:
    if len(expression) > LENGTH_LIMIT:
        raise CelError(f"expression is longer than {LENGTH_LIMIT} characters")
    try:
        return Program(expression, _environment(variables, functions).compile(expression))
    except RuntimeError as error:
        raise CelError(_stripped(str(error))) from error


LIBRARY: Final = (*strings.FUNCTIONS, *lists.FUNCTIONS, *quantities.FUNCTIONS, *network.FUNCTIONS)
"""The functions that Kubernetes adds to the language."""


@lru_cache(maxsize=64)
def _environment(variables: frozenset[str], functions: tuple[Function, ...]) -> Any:
    cel: Any = importlib.import_module("cel_expr_python.cel")  # 20 MB: only a cluster with expressions pays for it
    optional: Any = importlib.import_module("cel_expr_python.ext.ext_optional")
    declared: dict[str, list[Any]] = {}
    for function in (*LIBRARY, *functions):
        declared.setdefault(function.name, []).extend(_overloads(cel, function))
    return cel.NewEnv(
        variables=dict.fromkeys(sorted(variables), cel.Type.DYN),
        functions=[cel.FunctionDecl(name, overloads) for name, overloads in declared.items()],
        extensions=[optional.ExtOptional()],
    )


def _overloads(cel: Any, function: Function) -> list[Any]:
    """The library's form of a function, one for each choice of its parameters' types."""
    return [
        cel.Overload(
            id=f"{function.name}_{'member' if function.is_member else 'global'}_{'_'.join(choice)}",
            return_type=_type(cel, function.result),
            parameters=[_type(cel, word) for word in choice],
            is_member=function.is_member,
            impl=_guarded(function.call),
        )
        for choice in function.choices()
    ]


def _type(cel: Any, word: str) -> Any:
    kind = cel.Type
    match word:
        case "list":
            return kind.List(kind.DYN)
        case "strings":
            return kind.List(kind.STRING)
        case "map":
            return kind.Map(kind.STRING, kind.DYN)
        case _:
            return getattr(kind, word.upper())


def _guarded(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the library calls it: it takes the text of any exception for the error."""

    def guarded(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except FunctionError:
            raise
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise FunctionError(f"no such overload: {error}") from error

    return guarded


def _stripped(text: str) -> str:
    return _CODE.sub("", _STATUS.sub("", text))


def _upstream(text: str) -> str:
    for pattern, replacement in _MESSAGES:
        if match := pattern.search(text):
            return match.expand(replacement)
    return text
