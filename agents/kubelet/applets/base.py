"""What an applet is given, and how it ends."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..images.base import ContainerContext
from ..resolver import Resolver

Write = Callable[[bytes], None]

USAGE = 2
NOT_FOUND = 127
SYN_TIMEOUT_S = 127.0
"""How long Linux tries to connect to an address that does not answer (six repeated SYNs)."""


class Input(Protocol):
    """Standard input."""

    async def read(self) -> bytes:
        """What came in; empty at its end, and from then on."""


class NoInput:
    """An input at its end."""

    async def read(self) -> bytes:
        """Nothing."""
        return b""


class Text:
    """An input of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        """All of it, once."""
        data, self._data = self._data, b""
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One run of a command: its arguments, streams and the container around it."""

    args: Sequence[str]
    """With the program's name first."""
    context: ContainerContext
    env: MutableMapping[str, str]
    stdin: Input = field(default_factory=NoInput)
    stdout: Write
    stderr: Write
    tty: bool = False

    @property
    def name(self) -> str:
        """The program's name, without its folder."""
        return self.args[0].rpartition("/")[2]

    @property
    def resolver(self) -> Resolver:
        """The pod's names."""
        return self.context.names

    @property
    def files(self) -> MutableMapping[str, str]:
        """The container's files."""
        return self.context.files

    def print(self, text: str) -> None:
        """A line to standard output."""
        self.stdout(text.encode("utf-8", "surrogateescape") + b"\n")

    def complain(self, text: str) -> None:
        """A line to standard error, after the program's name."""
        self.stderr(f"{self.name}: {text}\n".encode())

    def with_args(self, args: Sequence[str]) -> "Process":
        """The same with other arguments."""
        return replace(self, args=args)


Applet = Callable[[Process], Awaitable[int]]
"""Runs to its end and returns the exit code. Cancellation is its signal."""
Applets = Mapping[str, Applet]


class UsageError(Exception):
    """The arguments make no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """Parsed options: values by canonical name (the last one counts, `every` keeps all), and the rest."""

    values: Mapping[str, Sequence[str]]
    rest: Sequence[str]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: str = "") -> str:
        """The option's last value."""
        return self.values[name][-1] if name in self.values else default

    def every(self, name: str) -> Sequence[str]:
        """All its values, in order."""
        return self.values.get(name, ())

    def seconds(self, name: str, default: float | None) -> float | None:
        """The value as a time."""
        if name not in self.values:
            return default
        try:
            return float(self.get(name))
        except ValueError as error:
            raise UsageError(f"bad number of seconds: {self.get(name)!r}") from error


class _Parsing:
    """The state of one parse."""

    def __init__(self, args: Sequence[str], flags: Mapping[str, str], valued: Mapping[str, str]) -> None:
        self._waiting = list(reversed(args))
        self._flags = flags
        self._valued = valued
        self.values: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def run(self) -> None:
        while self._waiting:
            arg = self._waiting.pop()
            if arg == "--":
                self.rest += reversed(self._waiting)
                return
            if arg.startswith("--"):
                name, equals, text = arg.partition("=")
                self._take(name, text if equals else None)
            elif arg.startswith("-") and len(arg) > 1:
                self._letters(arg[1:])
            else:
                self.rest.append(arg)

    def _letters(self, letters: str) -> None:
        for at, letter in enumerate(letters):
            name = f"-{letter}"
            if name in self._valued:
                self._take(name, letters[at + 1 :] or None)
                return
            self._take(name, None)

    def _take(self, name: str, attached: str | None) -> None:
        if name in self._flags:
            self.values.setdefault(self._flags[name], []).append("")
        elif name not in self._valued:
            raise UsageError(f"option {name}: is unknown")
        elif attached is None and not self._waiting:
            raise UsageError(f"option {name}: requires parameter")
        else:
            value = self._waiting.pop() if attached is None else attached
            self.values.setdefault(self._valued[name], []).append(value)


def parse_options(args: Sequence[str], flags: Mapping[str, str], valued: Mapping[str, str]) -> Options:
    """Parse as GNU getopt does: `-abc`, `-ovalue`, `-o value`, `--long=value`, `--`; options may follow operands.

    `flags` and `valued` map each spelling (`-s`, `--silent`) to a canonical name. Raises UsageError.
    """
    parsing = _Parsing(args, flags, valued)
    parsing.run()
    return Options(parsing.values, parsing.rest)
