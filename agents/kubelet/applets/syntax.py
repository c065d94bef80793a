"""The grammar of the small shell: text to a tree. Pure.

A subset of POSIX sh: lists with `;`, newlines, `&&` and `||`, pipelines, `!`, redirections, quotes, `$name`,
`${name:-default}`, `$(command)`, `$((sum))`, `if`, `while`, `until`, `for`, `{ }` and `( )`. No background jobs,
functions, `case` or globs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

OPERATORS = ("&&", "||", ";;", "2>&1", "1>&2", ">&2", "2>>", "&>", "2>", "1>", ">>", ";", "&", "|", "(", ")", "<", ">")
_REDIRECTS = frozenset({"2>&1", "1>&2", ">&2", "2>>", "&>", "2>", "1>", ">>", "<", ">"})
_WITHOUT_TARGET = frozenset({"2>&1", "1>&2", ">&2"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?$#@*!]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BLANK = " \t\r"


class ShellSyntaxError(ValueError):
    """The text is no script; the message is the shell's."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a word: `text`, `variable` (name or `name:-default`), `command` (a script), `sum`."""

    kind: str
    value: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Word:
    """Pieces without blanks between them."""

    parts: tuple[Part, ...]

    @property
    def plain(self) -> str:
        """Its text if nothing of it is quoted or expanded, else empty: only such words are keywords."""
        if all(part.kind == "text" and not part.quoted for part in self.parts):
            return "".join(part.value for part in self.parts)
        return ""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator; a newline is `;`."""

    text: str


Token = Word | Operator


@dataclass(frozen=True, slots=True)
class Redirect:
    """`operator target`; the target is None for `2>&1` and its like."""

    operator: str
    target: Word | None


@dataclass(frozen=True, slots=True)
class Simple:
    """Assignments, then a program and its arguments."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class If:
    """The first branch whose condition holds, else `otherwise`."""

    branches: "tuple[tuple[Sequence_, Sequence_], ...]"
    otherwise: "Sequence_ | None"


@dataclass(frozen=True, slots=True)
class Loop:
    """While the condition's result is as wanted."""

    condition: "Sequence_"
    body: "Sequence_"
    until: bool


@dataclass(frozen=True, slots=True)
class For:
    """Once for each word."""

    name: str
    words: tuple[Word, ...]
    body: "Sequence_"


@dataclass(frozen=True, slots=True)
class Group:
    """A list in braces, or in parentheses: a shell of its own, whose variables and `exit` stay inside."""

    body: "Sequence_"
    redirects: tuple[Redirect, ...]
    is_own_shell: bool


Command = Simple | If | Loop | For | Group


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by `|`."""

    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    """`first`, then each pipeline if `&&` or `||` lets it."""

    first: Pipeline
    others: tuple[tuple[str, Pipeline], ...]


@dataclass(frozen=True, slots=True)
class Sequence_:  # noqa: N801 - `Sequence` is the collection
    """One after another."""

    items: tuple[AndOr, ...]


class _Scanner:
    """Text to tokens."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\\\n", "")
        self._at = 0

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in _BLANK:
                self._at += 1
            elif char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif char == "\n":
                self._at += 1
                found.append(Operator(";"))
            elif operator := self._operator():
                found.append(Operator(operator))
            else:
                found.append(self._word())
        return found

    def _operator(self) -> str:
        for operator in OPERATORS:
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        return ""

    def _word(self) -> Word:
        parts: list[Part] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in _BLANK or char in "\n;&|()<>":
                break
            if char == "'":
                end = self._find("'", self._at + 1)
                parts.append(Part("text", self._text[self._at + 1 : end], quoted=True))
                self._at = end + 1
            elif char == '"':
                self._at += 1
                parts += self._double()
            elif char == "\\":
                parts.append(Part("text", self._text[self._at + 1 : self._at + 2], quoted=True))
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(Part("text", char, quoted=False))
                self._at += 1
        return Word(_joined(parts))

    def _double(self) -> list[Part]:
        parts = [Part("text", "", quoted=True)]
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return parts
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\"):
                parts.append(Part("text", self._text[self._at + 1], quoted=True))
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion(quoted=True))
            else:
                parts.append(Part("text", char, quoted=True))
                self._at += 1
        raise ShellSyntaxError("syntax error: unterminated quoted string")

    def _expansion(self, *, quoted: bool) -> Part:
        text, at = self._text, self._at
        if text[at] == "`":
            end = self._find("`", at + 1)
            self._at = end + 1
            return Part("command", text[at + 1 : end], quoted)
        if text.startswith("$((", at):
            end = self._closing(at + 3, 2)
            self._at = end + 2
            return Part("sum", text[at + 3 : end], quoted)
        if text.startswith("$(", at):
            end = self._closing(at + 2, 1)
            self._at = end + 1
            return Part("command", text[at + 2 : end], quoted)
        if text.startswith("${", at):
            end = self._find("}", at + 2)
            self._at = end + 1
            return Part("variable", text[at + 2 : end], quoted)
        if match := _NAME.match(text, at + 1):
            self._at = match.end()
            return Part("variable", match.group(), quoted)
        self._at += 1
        return Part("text", "$", quoted)

    def _find(self, char: str, start: int) -> int:
        end = self._text.find(char, start)
        if end < 0:
            raise ShellSyntaxError("syntax error: unterminated quoted string")
        return end

    def _closing(self, start: int, count: int) -> int:
        """Where the `count` parentheses that are open at `start` close."""
        depth = count
        for at in range(start, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[at], 0)
            if depth == 0:
                return at - count + 1
        raise ShellSyntaxError('syntax error: unexpected end of file (expecting ")")')


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring texts of one quoting made one."""
    joined: list[Part] = []
    for part in parts:
        if joined and part.kind == "text" == joined[-1].kind and part.quoted == joined[-1].quoted:
            joined[-1] = Part("text", joined[-1].value + part.value, part.quoted)
        else:
            joined.append(part)
    return tuple(joined)


class _Parser:
    """Tokens to a tree, by recursive descent."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Sequence_:
        tree = self._list(())
        if self._at < len(self._tokens):
            raise self._unexpected()
        return tree

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _is_operator(self, *texts: str) -> bool:
        token = self._peek()
        return isinstance(token, Operator) and token.text in texts

    def _is_word(self, *texts: str) -> bool:
        token = self._peek()
        return isinstance(token, Word) and token.plain in texts

    def _unexpected(self) -> ShellSyntaxError:
        token = self._peek()
        if token is None:
            return ShellSyntaxError("syntax error: unexpected end of file")
        shown = token.text if isinstance(token, Operator) else token.plain or "word"
        return ShellSyntaxError(f'syntax error: unexpected "{shown}"')

    def _expect(self, word: str) -> None:
        if not self._is_word(word):
            raise self._unexpected()
        self._at += 1

    def _list(self, ends: tuple[str, ...], closing: str = "") -> Sequence_:
        items: list[AndOr] = []
        while True:
            while self._is_operator(";"):
                self._at += 1
            if self._peek() is None or (ends and self._is_word(*ends)) or (closing and self._is_operator(closing)):
                return Sequence_(tuple(items))
            items.append(self._and_or())
            if self._is_operator("&"):
                raise ShellSyntaxError("background jobs (&) are not supported here")
            if not self._is_operator(";", closing or ";"):
                if self._peek() is not None:
                    raise self._unexpected()
                return Sequence_(tuple(items))

    def _body(self, *ends: str) -> Sequence_:
        body = self._list(ends)
        if not body.items:
            raise self._unexpected()
        return body

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        others = []
        while self._is_operator("&&", "||"):
            token = self._tokens[self._at]
            assert isinstance(token, Operator)
            self._at += 1
            self._skip_newlines()
            others.append((token.text, self._pipeline()))
        return AndOr(first, tuple(others))

    def _skip_newlines(self) -> None:
        while self._is_operator(";"):
            self._at += 1

    def _pipeline(self) -> Pipeline:
        negated = self._is_word("!")
        if negated:
            self._at += 1
        commands = [self._command()]
        while self._is_operator("|"):
            self._at += 1
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _command(self) -> Command:
        if self._is_word("if"):
            return self._if()
        if self._is_word("while", "until"):
            until = self._is_word("until")
            self._at += 1
            condition = self._body("do")
            return Loop(condition, self._do(), until)
        if self._is_word("for"):
            return self._for()
        if self._is_word("{"):
            self._at += 1
            body = self._body("}")
            self._expect("}")
            return Group(body, tuple(self._redirects()), is_own_shell=False)
        if self._is_operator("("):
            self._at += 1
            body = self._list((), ")")
            if not self._is_operator(")"):
                raise self._unexpected()
            self._at += 1
            return Group(body, tuple(self._redirects()), is_own_shell=True)
        return self._simple()

    def _do(self) -> Sequence_:
        self._expect("do")
        body = self._body("done")
        self._expect("done")
        return body

    def _if(self) -> If:
        branches = []
        otherwise = None
        while self._is_word("if", "elif"):
            self._at += 1
            condition = self._body("then")
            self._expect("then")
            branches.append((condition, self._body("elif", "else", "fi")))
        if self._is_word("else"):
            self._at += 1
            otherwise = self._body("fi")
        self._expect("fi")
        return If(tuple(branches), otherwise)

    def _for(self) -> For:
        self._at += 1
        token = self._peek()
        if not isinstance(token, Word) or not token.plain:
            raise self._unexpected()
        self._at += 1
        self._expect("in")
        words: list[Word] = []
        while isinstance(word := self._peek(), Word):
            words.append(word)
            self._at += 1
        self._skip_newlines()
        return For(token.plain, tuple(words), self._do())

    def _redirects(self) -> list[Redirect]:
        found = []
        while isinstance(token := self._peek(), Operator) and token.text in _REDIRECTS:
            self._at += 1
            target = None
            if token.text not in _WITHOUT_TARGET:
                word = self._peek()
                if not isinstance(word, Word):
                    raise self._unexpected()
                target = word
                self._at += 1
            found.append(Redirect(token.text, target))
        return found

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirects += self._redirects()
            token = self._peek()
            if not isinstance(token, Word):
                break
            self._at += 1
            assigned = None if words else _assignment(token)
            if assigned is None:
                words.append(token)
            else:
                assignments.append(assigned)
        if not (assignments or words or redirects):
            raise self._unexpected()
        return Simple(tuple(assignments), tuple(words), tuple(redirects))


def _assignment(word: Word) -> tuple[str, Word] | None:
    """`name=value`, if the word is one."""
    first = word.parts[0] if word.parts else None
    if first is None or first.kind != "text" or first.quoted or not _ASSIGNMENT.match(first.value):
        return None
    name, _, rest = first.value.partition("=")
    return name, Word((Part("text", rest, quoted=False), *word.parts[1:]))


def parse(text: str) -> Sequence_:
    """The script as a tree. Raises ShellSyntaxError."""
    return _Parser(_Scanner(text).tokens()).whole()
