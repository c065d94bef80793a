"""The small shell: runs a tree of `syntax` with applets as its programs.

One script runs in one task. A pipeline's commands run one after another, each with the whole output of the one before:
what people pipe in an exec ends by itself. `sh -c` inside a script is a new shell of the same kind.
"""

import ast
import asyncio
import operator
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ..images.base import TERMINATION_LOG
from .base import NOT_FOUND, USAGE, Applet, Applets, Process, Text, UsageError
from .syntax import (
    AndOr,
    Command,
    For,
    Group,
    If,
    Loop,
    Part,
    Pipeline,
    Redirect,
    Sequence_,
    ShellSyntaxError,
    Simple,
    Word,
    parse,
)

Unknown = Callable[[Process], Awaitable[int]]
"""What to do with a program that is no applet."""
_MAX_DEPTH = 32
_SUMS: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Lt: operator.lt,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class _Exit(Exception):
    """`exit N`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Break(Exception):
    """`break`."""


class _Continue(Exception):
    """`continue`."""


async def not_found(process: Process) -> int:
    """The shell's word for a program that is not there."""
    process.stderr(f"sh: {process.args[0]}: not found\n".encode())
    return NOT_FOUND


class Shell:
    """One shell with its variables."""

    def __init__(self, applets: Applets, *, unknown: Unknown = not_found, depth: int = 0) -> None:
        self._applets = applets
        self._unknown = unknown
        self._depth = depth
        self._code = 0
        self._strict = False
        self._positional: Sequence[str] = ("sh",)
        self._builtins: dict[str, Applet] = {
            "exit": self._do_exit,
            "export": self._do_export,
            "unset": self._do_unset,
            "set": self._do_set,
            "cd": self._do_nothing,
            "trap": self._do_nothing,
            "wait": self._do_nothing,
            "break": self._do_break,
            "continue": self._do_continue,
            "exec": self._do_exec,
            "command": self._do_exec,
            "eval": self._do_eval,
            "sh": self._do_shell,
            "bash": self._do_shell,
            "ash": self._do_shell,
        }

    def knows(self, program: str) -> bool:
        """Whether the shell can run a program of that name."""
        name = program.rpartition("/")[2]
        return name in self._applets or name in self._builtins

    async def execute(self, process: Process) -> int:
        """Run one command as `exec` does, without a script; returns its exit code."""
        try:
            return await self._program(process)
        except _Exit as end:
            return end.code

    async def script(self, text: str, process: Process, positional: Sequence[str] = ("sh",)) -> int:
        """Run a script; returns its exit code, 2 for what is no script."""
        self._positional = positional
        try:
            tree = parse(text)
        except ShellSyntaxError as error:
            process.stderr(f"sh: {error}\n".encode())
            return USAGE
        try:
            return await self._sequence(tree, process)
        except _Exit as end:
            return end.code

    async def _sequence(self, tree: Sequence_, process: Process) -> int:
        for item in tree.items:
            self._code = await self._and_or(item, process)
            if self._strict and self._code and not item.others and not item.first.negated:
                raise _Exit(self._code)
        return self._code

    async def _and_or(self, tree: AndOr, process: Process) -> int:
        self._code = await self._pipeline(tree.first, process)
        for mark, pipeline in tree.others:
            if (mark == "&&") == (self._code == 0):
                self._code = await self._pipeline(pipeline, process)
        return self._code

    async def _pipeline(self, tree: Pipeline, process: Process) -> int:
        stdin = process.stdin
        for command in tree.commands[:-1]:
            output = bytearray()
            await self._command(command, replace(process, stdin=stdin, stdout=output.extend))
            stdin = Text(bytes(output))
        code = await self._command(tree.commands[-1], replace(process, stdin=stdin))
        return int(code == 0) if tree.negated else code

    async def _command(self, command: Command, process: Process) -> int:
        match command:
            case Simple():
                return await self._simple(command, process)
            case If():
                return await self._if(command, process)
            case Loop():
                return await self._loop(command, process)
            case For():
                return await self._for(command, process)
            case Group():
                return await self._group(command, process)

    async def _group(self, tree: Group, process: Process) -> int:
        redirected, finish = await self._redirect(tree.redirects, process)
        if tree.is_own_shell:
            try:
                code = await self._sequence(tree.body, replace(redirected, env=dict(process.env)))
            except _Exit as end:
                code = end.code
        else:
            code = await self._sequence(tree.body, redirected)
        finish()
        return code

    async def _if(self, tree: If, process: Process) -> int:
        for condition, body in tree.branches:
            if await self._condition(condition, process) == 0:
                return await self._sequence(body, process)
        return await self._sequence(tree.otherwise, process) if tree.otherwise else 0

    async def _condition(self, tree: Sequence_, process: Process) -> int:
        strict, self._strict = self._strict, False
        try:
            return await self._sequence(tree, process)
        finally:
            self._strict = strict

    async def _loop(self, tree: Loop, process: Process) -> int:
        code = 0
        while (await self._condition(tree.condition, process) == 0) != tree.until:
            await asyncio.sleep(0)  # a loop without a sleep of its own must not stop the agent
            try:
                code = await self._sequence(tree.body, process)
            except _Break:
                return 0
            except _Continue:
                continue
        return code

    async def _for(self, tree: For, process: Process) -> int:
        code = 0
        for value in await self._expand(tree.words, process):
            process.env[tree.name] = value
            await asyncio.sleep(0)
            try:
                code = await self._sequence(tree.body, process)
            except _Break:
                return 0
            except _Continue:
                continue
        return code

    async def _simple(self, tree: Simple, process: Process) -> int:
        args = await self._expand(tree.words, process)
        assigned = {name: "".join(await self._fields(word, process, split=False)) for name, word in tree.assignments}
        if not args:
            process.env.update(assigned)
            return 0
        if assigned:
            process = replace(process, env={**process.env, **assigned})
        redirected, finish = await self._redirect(tree.redirects, process)
        code = await self._program(redirected.with_args(args))
        finish()
        return code

    async def _program(self, process: Process) -> int:
        applet = self._builtins.get(process.name) or self._applets.get(process.name)
        if applet is None:
            return await self._unknown(process)
        try:
            return await applet(process)
        except UsageError as error:
            process.complain(str(error))
            return USAGE

    async def _redirect(self, redirects: Sequence[Redirect], process: Process) -> tuple[Process, Callable[[], None]]:
        """The process with its streams led elsewhere, and what writes the files when it has ended."""
        written: list[tuple[str, bytearray, bool]] = []
        for redirect in redirects:
            if redirect.operator == "2>&1":
                process = replace(process, stderr=process.stdout)
            elif redirect.operator in ("1>&2", ">&2"):
                process = replace(process, stdout=process.stderr)
            else:
                assert redirect.target is not None
                path = "".join(await self._fields(redirect.target, process, split=False))
                if redirect.operator == "<":
                    process = replace(
                        process, stdin=Text(process.files.get(path, "").encode("utf-8", "surrogateescape"))
                    )
                    continue
                buffer = bytearray()
                written.append((path, buffer, redirect.operator.endswith(">>")))
                process = _led_to(redirect.operator, process, buffer)

        def finish() -> None:
            for path, buffer, append in written:
                if not path.startswith("/dev/") or path == TERMINATION_LOG:
                    before = process.files.get(path, "") if append else ""
                    process.files[path] = before + buffer.decode("utf-8", "replace")

        return process, finish

    async def _expand(self, words: Sequence[Word], process: Process) -> list[str]:
        fields: list[str] = []
        for word in words:
            fields += await self._fields(word, process, split=True)
        return fields

    async def _fields(self, word: Word, process: Process, *, split: bool) -> list[str]:
        """The word expanded; split at blanks that come out of unquoted expansions."""
        fields: list[str] = []
        current: str | None = None
        for part in word.parts:
            if part.kind == "variable" and part.value in ("@", "*"):
                text = " ".join(self._positional[1:])
            else:
                text = await self._value(part, process)
            if part.kind == "text" or part.quoted or not split:
                current = (current or "") + text
                continue
            pieces = text.split()
            if pieces and not text[0].isspace():
                current = (current or "") + pieces.pop(0)
            if pieces or text[-1:].isspace():
                fields += [current] if current is not None else []
                fields += pieces[:-1] if not text[-1:].isspace() else pieces
                current = pieces[-1] if pieces and not text[-1:].isspace() else None
        return fields + ([current] if current is not None else [])

    async def _value(self, part: Part, process: Process) -> str:
        if part.kind == "variable":
            return self._variable(part.value, process)
        if part.kind == "command":
            output = bytearray()
            inner = replace(process, stdout=output.extend, env=dict(process.env))
            await self._sub().script(part.value, inner, self._positional)
            return output.decode("utf-8", "replace").rstrip("\n")
        if part.kind == "sum":
            return str(_sum(part.value, process))
        return part.value

    def _variable(self, text: str, process: Process) -> str:
        name, mark, default = _split_default(text)
        if name == "?":
            return str(self._code)
        if name == "$":
            return "1"
        if name == "#":
            return str(len(self._positional) - 1)
        if name.isdigit():
            value = self._positional[int(name)] if int(name) < len(self._positional) else ""
        elif name.startswith("#"):
            return str(len(process.env.get(name[1:], "")))
        else:
            value = process.env.get(name, "")
        if mark in (":-", "-", ":=") and not value:
            return default
        if mark in (":+", "+"):
            return default if value else ""
        return value

    def _sub(self) -> "Shell":
        if self._depth >= _MAX_DEPTH:
            raise UsageError("scripts are nested too deeply")
        return Shell(self._applets, unknown=self._unknown, depth=self._depth + 1)

    async def _do_exit(self, process: Process) -> int:
        text = process.args[1] if len(process.args) > 1 else str(self._code)
        if not text.isdigit():
            raise UsageError(f"Illegal number: {text}")
        raise _Exit(int(text) % 256)

    async def _do_export(self, process: Process) -> int:
        for arg in process.args[1:]:
            name, equals, value = arg.partition("=")
            if equals:
                process.env[name] = value
        return 0

    async def _do_unset(self, process: Process) -> int:
        for name in process.args[1:]:
            process.env.pop(name, None)
        return 0

    async def _do_set(self, process: Process) -> int:
        for arg in process.args[1:]:
            if arg.startswith(("-", "+")) and "e" in arg:
                self._strict = arg.startswith("-")
        return 0

    async def _do_nothing(self, process: Process) -> int:  # noqa: ARG002 - an applet's signature
        return 0

    async def _do_break(self, process: Process) -> int:  # noqa: ARG002 - an applet's signature
        raise _Break

    async def _do_continue(self, process: Process) -> int:  # noqa: ARG002 - an applet's signature
        raise _Continue

    async def _do_exec(self, process: Process) -> int:
        args = [arg for arg in process.args[1:] if arg != "-v"]
        if not args:
            return 0
        if "-v" in process.args[1:2]:
            return 0 if self.knows(args[0]) else NOT_FOUND
        code = await self._program(process.with_args(args))
        if process.name == "exec":
            raise _Exit(code)
        return code

    async def _do_eval(self, process: Process) -> int:
        try:
            return await self._sequence(parse(" ".join(process.args[1:])), process)
        except ShellSyntaxError as error:
            raise UsageError(str(error)) from error

    async def _do_shell(self, process: Process) -> int:
        args = list(process.args[1:])
        shell = self._sub()
        while args and args[0].startswith("-") and "c" not in args[0]:
            shell._strict = shell._strict or "e" in args[0]  # noqa: SLF001 - one of its own kind
            args.pop(0)
        inner = replace(process, env=dict(process.env))
        if args and args[0].startswith("-"):
            shell._strict = shell._strict or "e" in args[0]  # noqa: SLF001 - one of its own kind
            if len(args) == 1:
                raise UsageError("-c requires an argument")
            return await shell.script(args[1], inner, args[2:] or ("sh",))
        if args:
            if (text := process.files.get(args[0])) is None:
                process.complain(f"can't open '{args[0]}'")
                return USAGE
            return await shell.script(text, inner, args)
        return await self._interactive(shell, inner)

    async def _interactive(self, shell: "Shell", process: Process) -> int:
        """A shell that reads its commands: each line as it comes, with a prompt on a terminal."""
        prompt = b"/ # " if process.tty else b""
        process.stdout(prompt)
        code, rest = 0, b""
        while data := await process.stdin.read():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    code = shell._code = await shell._sequence(parse(line.decode("utf-8", "replace")), process)  # noqa: SLF001 - one of its own kind
                except ShellSyntaxError as error:
                    process.stderr(f"sh: {error}\n".encode())
                    code = USAGE
                except _Exit as end:
                    return end.code
                except (_Break, _Continue):
                    code = 0
                process.stdout(prompt)
        return await shell.script(rest.decode("utf-8", "replace"), process) if rest.strip() else code


def _led_to(mark: str, process: Process, buffer: bytearray) -> Process:
    if mark in ("2>", "2>>"):
        return replace(process, stderr=buffer.extend)
    if mark == "&>":
        return replace(process, stdout=buffer.extend, stderr=buffer.extend)
    return replace(process, stdout=buffer.extend)


_DEFAULT = re.compile(r"(#?[A-Za-z_][A-Za-z0-9_]*|[0-9?$#@*!])(:-|:=|:\+|-|\+)?(.*)", re.DOTALL)


def _split_default(text: str) -> tuple[str, str, str]:
    match = _DEFAULT.fullmatch(text)
    return (match[1], match[2] or "", match[3]) if match else (text, "", "")


def _sum(text: str, process: Process) -> int:
    """The value of `$((text))`: integers, variables, + - * / % and comparisons."""

    def value(node: ast.AST) -> int:
        match node:
            case ast.Constant(value=int() as number):
                return number
            case ast.Name(id=name):
                given = process.env.get(name, "0").strip()
                return int(given) if given.lstrip("-").isdigit() else 0
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=ast.Div() | ast.FloorDiv() as op, right=right):
                return _divide(value(left), value(right))
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                divisor = value(right)
                return value(left) - divisor * _divide(value(left), divisor)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
                return _SUMS[type(op)](value(left), value(right))
            case ast.Compare(left=left, ops=[compare], comparators=[right]) if type(compare) in _SUMS:
                return int(_SUMS[type(compare)](value(left), value(right)))
        raise UsageError("arithmetic syntax error")

    try:
        return value(ast.parse(text.replace("$", "").strip(), mode="eval").body)
    except (SyntaxError, RecursionError) as error:
        raise UsageError("arithmetic syntax error") from error


def _divide(left: int, right: int) -> int:
    """Division as C does it, towards zero."""
    if right == 0:
        raise UsageError("divide by zero")
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
