"""Programs that need no network: echo, sleep, cat, test, env, date and their like."""

import asyncio
import re
from collections.abc import Callable, Sequence

from .base import Applets, Process, UsageError, parse_options

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FOREVER = ("infinity", "inf")


async def sleep(process: Process) -> int:
    """`sleep 5`, `sleep 1m 30s`, `sleep infinity`."""
    if len(process.args) == 1:
        raise UsageError("missing operand")
    if any(arg in _FOREVER for arg in process.args[1:]):
        return await _forever()
    total = 0.0
    for arg in process.args[1:]:
        match = re.fullmatch(r"([0-9]*\.?[0-9]+)([smhd]?)", arg)
        if match is None:
            raise UsageError(f"invalid number '{arg}'")
        total += float(match[1]) * _UNITS[match[2] or "s"]
    await process.context.clock.sleep(total)
    return 0


async def _forever() -> int:
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    return await never


async def pause(process: Process) -> int:
    """Runs until it is stopped."""
    return await _forever()


async def echo(process: Process) -> int:
    """`echo [-n] [-e] words`."""
    words = list(process.args[1:])
    end, escapes = "\n", False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        option = words.pop(0)
        end = "" if "n" in option else end
        escapes = escapes or "e" in option
    text = " ".join(words)
    process.stdout(((unescape(text) if escapes else text) + end).encode())
    return 0


async def printf(process: Process) -> int:
    """`printf FORMAT args`, with %s, %d and %%; the format is used again while arguments are left."""
    if len(process.args) == 1:
        raise UsageError("usage: printf FORMAT [ARG]...")
    form, args = unescape(process.args[1]), list(process.args[2:])
    text = ""
    while True:
        text += re.sub(r"%(%|[sdi])", lambda match: _fill(match[1], args), form)
        if not args or not re.search(r"%[sdi]", form):
            break
    process.stdout(text.encode())
    return 0


def _fill(letter: str, args: list[str]) -> str:
    if letter == "%":
        return "%"
    return args.pop(0) if args else ("" if letter == "s" else "0")


def unescape(text: str) -> str:
    """Backslash escapes as `echo -e` reads them."""
    known = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "0": "\0", "a": "\a", "e": "\x1b"}
    return re.sub(r"\\([ntr\\0ae])", lambda match: known[match[1]], text)


async def succeed(process: Process) -> int:
    """`true` and `:`."""
    return 0


async def fail(process: Process) -> int:
    """`false`."""
    return 1


async def cat(process: Process) -> int:
    """`cat [files]`; without one, or for `-`, standard input."""
    code = 0
    for path in [arg for arg in process.args[1:] if arg == "-" or not arg.startswith("-")] or ["-"]:
        if path == "-":
            while data := await process.stdin.read():
                process.stdout(data)
        elif (text := process.files.get(path)) is not None:
            process.stdout(text.encode("utf-8", "surrogateescape"))
        else:
            process.complain(f"can't open '{path}': No such file or directory")
            code = 1
    return code


async def touch(process: Process) -> int:
    """Makes files."""
    for path in process.args[1:]:
        process.files.setdefault(path, "")
    return 0


async def remove(process: Process) -> int:
    """`rm [-rf] files`."""
    options = parse_options(process.args[1:], {"-f": "force", "-r": "tree", "-R": "tree"}, {})
    code = 0
    for path in options.rest:
        gone = [name for name in process.files if name == path or ("tree" in options and name.startswith(f"{path}/"))]
        for name in gone:
            del process.files[name]
        if not gone and "force" not in options:
            process.complain(f"can't remove '{path}': No such file or directory")
            code = 1
    return code


async def tail(process: Process) -> int:
    """`tail [-f] [-n N] [file]`; `tail -f /dev/null` runs until it is stopped."""
    options = parse_options(process.args[1:], {"-f": "follow", "-F": "follow"}, {"-n": "count"})
    code = await _ends(process, options.rest[:1], _count(options.get("count", "10")), last=True)
    return await _forever() if "follow" in options and code == 0 else code


async def head(process: Process) -> int:
    """`head [-n N] [file]`."""
    args = [f"-n{arg[1:]}" if re.fullmatch(r"-[0-9]+", arg) else arg for arg in process.args[1:]]
    options = parse_options(args, {}, {"-n": "count"})
    return await _ends(process, options.rest[:1], _count(options.get("count", "10")), last=False)


def _count(text: str) -> int:
    if not text.lstrip("+-").isdigit():
        raise UsageError(f"invalid number '{text}'")
    return abs(int(text))


async def _ends(process: Process, paths: Sequence[str], count: int, *, last: bool) -> int:
    text = await _read(process, paths[0] if paths else "-")
    if text is None:
        return 1
    lines = text.splitlines(keepends=True)
    shown = "".join(lines[max(0, len(lines) - count) :] if last else lines[:count])
    process.stdout(shown.encode("utf-8", "surrogateescape"))
    return 0


async def _read(process: Process, path: str) -> str | None:
    """A file's text or all of the input; None, with the complaint made, if there is no such file."""
    if path == "/dev/null":
        return ""
    if path == "-":
        parts = []
        while data := await process.stdin.read():
            parts.append(data)
        return b"".join(parts).decode("utf-8", "replace")
    text = process.files.get(path)
    if text is None:
        process.complain(f"can't open '{path}': No such file or directory")
    return text


async def grep(process: Process) -> int:
    """`grep [-qvicE] pattern [file]`."""
    flags = {"-q": "quiet", "-v": "invert", "-i": "case", "-c": "count", "-E": "extended", "-o": "only", "-F": "fixed"}
    options = parse_options(process.args[1:], flags, {"-e": "pattern"})
    rest = list(options.rest)
    pattern = options.get("pattern") or (rest.pop(0) if rest else "")
    text = await _read(process, rest[0] if rest else "-")
    if text is None:
        return 2
    try:
        compiled = re.compile(
            re.escape(pattern) if "fixed" in options else pattern, re.IGNORECASE if "case" in options else 0
        )
    except re.error as error:
        raise UsageError(f"bad regex '{pattern}': {error}") from error
    hits = [line for line in text.splitlines() if bool(compiled.search(line)) != ("invert" in options)]
    if "count" in options:
        process.print(str(len(hits)))
    elif "quiet" not in options:
        for line in hits:
            found = compiled.search(line) if "only" in options else None
            process.print(found[0] if found else line)
    return 0 if hits else 1


async def count_words(process: Process) -> int:
    """`wc [-lwc] [file]`."""
    options = parse_options(process.args[1:], {"-l": "lines", "-w": "words", "-c": "bytes"}, {})
    text = await _read(process, options.rest[0] if options.rest else "-")
    if text is None:
        return 1
    counts = {"lines": text.count("\n"), "words": len(text.split()), "bytes": len(text.encode())}
    wanted = [name for name in counts if name in options] or list(counts)
    process.print(" ".join(str(counts[name]) for name in wanted))
    return 0


async def environment(process: Process) -> int:
    """`env`, `printenv [name]`."""
    if process.name == "printenv" and len(process.args) > 1:
        value = process.env.get(process.args[1])
        if value is None:
            return 1
        process.print(value)
        return 0
    for name, value in process.env.items():
        process.print(f"{name}={value}")
    return 0


async def hostname(process: Process) -> int:
    """`hostname`, `hostname -i`."""
    own = process.env.get("HOSTNAME", process.context.pod["metadata"]["name"])
    process.print(process.context.link.ip if set(process.args[1:]) & {"-i", "-I"} else own)
    return 0


async def date(process: Process) -> int:
    """`date`, `date +FORMAT`."""
    form = next((arg[1:] for arg in process.args[1:] if arg.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    now = process.context.clock.now()
    process.print(now.strftime(form.replace("%s", str(int(now.timestamp())))))
    return 0


async def seq(process: Process) -> int:
    """`seq [first [step]] last`."""
    try:
        numbers = [int(arg) for arg in process.args[1:]]
    except ValueError as error:
        raise UsageError("numbers are whole here") from error
    if not 1 <= len(numbers) <= 3:  # noqa: PLR2004 - first, step, last
        raise UsageError("usage: seq [FIRST [INC]] LAST")
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1  # noqa: PLR2004 - as above
    if step == 0:
        raise UsageError("the step must not be 0")
    for number in range(first, numbers[-1] + (1 if step > 0 else -1), step):
        process.print(str(number))
    return 0


_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "=": str.__eq__,
    "==": str.__eq__,
    "!=": str.__ne__,
}
_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": int.__eq__,
    "-ne": int.__ne__,
    "-lt": int.__lt__,
    "-le": int.__le__,
    "-gt": int.__gt__,
    "-ge": int.__ge__,
}


async def test(process: Process) -> int:
    """`test EXPRESSION`, `[ EXPRESSION ]`: strings, numbers, files (-f, -e, -d), `!`."""
    words = list(process.args[1:])
    if process.name in ("[", "[[") and (not words or words.pop() not in ("]", "]]")):
        raise UsageError("missing ]")
    wanted = True
    while words and words[0] == "!":
        words.pop(0)
        wanted = not wanted
    return 0 if _holds(process, words) == wanted else 1


def _holds(process: Process, words: list[str]) -> bool:
    match words:
        case []:
            return False
        case [word]:
            return word != ""
        case ["-z", word]:
            return word == ""
        case ["-n", word]:
            return word != ""
        case ["-d", path]:
            return any(name.startswith(path.rstrip("/") + "/") for name in process.files)
        case ["-f" | "-e" | "-r" | "-s", path]:
            return path in process.files
        case [left, mark, right] if mark in _STRINGS:
            return _STRINGS[mark](left, right)
        case [left, mark, right] if mark in _NUMBERS:
            try:
                return _NUMBERS[mark](int(left), int(right))
            except ValueError as error:
                raise UsageError(f"bad number: {left if not left.lstrip('-').isdigit() else right}") from error
    raise UsageError(f"unknown operand: {' '.join(words)}")


async def who(process: Process) -> int:
    """`whoami`, `id`."""
    process.print("root" if process.name == "whoami" else "uid=0(root) gid=0(root)")
    return 0


async def uname(process: Process) -> int:
    """`uname`, `uname -n`, `uname -a`."""
    own = process.env.get("HOSTNAME", process.context.pod["metadata"]["name"])
    texts = {"-n": own, "-a": f"Linux {own} miniplane"}
    process.print(texts.get(process.args[1] if len(process.args) > 1 else "", "Linux"))
    return 0


APPLETS: Applets = {
    "sleep": sleep,
    "pause": pause,
    "echo": echo,
    "printf": printf,
    "true": succeed,
    ":": succeed,
    "mkdir": succeed,
    "chmod": succeed,
    "false": fail,
    "cat": cat,
    "touch": touch,
    "rm": remove,
    "tail": tail,
    "head": head,
    "grep": grep,
    "wc": count_words,
    "env": environment,
    "printenv": environment,
    "hostname": hostname,
    "date": date,
    "seq": seq,
    "test": test,
    "[": test,
    "[[": test,
    "whoami": who,
    "id": who,
    "uname": uname,
}
