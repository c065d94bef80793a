"""`tar`, as far as `kubectl cp` and people at a prompt need it: archives by standard input and output, or in files."""

import io
import tarfile
from collections.abc import Sequence

from .base import Applets, Process, UsageError, parse_options

_FLAGS = {
    **{f"-{letter}": name for letter, name in {"x": "extract", "c": "create", "t": "list", "v": "verbose"}.items()},
    **dict.fromkeys(("-m", "-p", "-o", "--no-same-permissions", "--no-same-owner"), "ignored"),
    "-z": "gzip",
}
_VALUED = {"-f": "file", "-C": "folder", "--file": "file", "--directory": "folder"}


async def tar(process: Process) -> int:
    """`tar -x|-c|-t [-z] [-f ARCHIVE] [-C FOLDER] [paths]`; the dash of the first word may be left out."""
    words = list(process.args[1:])
    if words and not words[0].startswith("-"):
        words[0] = f"-{words[0]}"
    options = parse_options(words, _FLAGS, _VALUED)
    archive = options.get("file", "-")
    folder = options.get("folder", "/").rstrip("/")
    if "create" in options:
        return _create(process, archive, folder, options.rest, mode="w:gz" if "gzip" in options else "w")
    if not ("extract" in options or "list" in options):
        raise UsageError("must specify one of -c, -x, -t")
    try:
        with tarfile.open(fileobj=io.BytesIO(await _bytes(process, archive))) as opened:
            for member in opened:
                if "list" in options or "verbose" in options:
                    process.print(member.name)
                content = opened.extractfile(member) if "extract" in options and member.isreg() else None
                if content is not None:
                    process.files[_joined(folder, member.name)] = content.read().decode("utf-8", "surrogateescape")
    except tarfile.TarError as error:
        process.complain(str(error))
        return 1
    return 0


async def _bytes(process: Process, archive: str) -> bytes:
    if archive != "-":
        return process.files.get(archive, "").encode("utf-8", "surrogateescape")
    parts = []
    while data := await process.stdin.read():
        parts.append(data)
    return b"".join(parts)


def _joined(folder: str, name: str) -> str:
    """Where a member goes: below the folder, whatever its name says."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join([folder, *parts])


def _create(process: Process, archive: str, folder: str, paths: Sequence[str], *, mode: str) -> int:
    buffer, code = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode=mode) as made:  # type: ignore[call-overload]  # the mode is one of two
        for path in paths:
            given = path.rstrip("/").removeprefix("./")
            whole = given if given.startswith("/") else f"{folder}/{given}"
            found = [name for name in process.files if name == whole or name.startswith(f"{whole}/")]
            if not found:
                process.complain(f"{path}: No such file or directory")
                code = 1
            for name in found:
                data = process.files[name].encode("utf-8", "surrogateescape")
                member = tarfile.TarInfo((given + name.removeprefix(whole)).lstrip("/"))
                member.size, member.mode, member.mtime = len(data), 0o644, process.context.clock.now().timestamp()
                made.addfile(member, io.BytesIO(data))
    if archive == "-":
        process.stdout(buffer.getvalue())
    else:
        process.files[archive] = buffer.getvalue().decode("utf-8", "surrogateescape")
    return code


APPLETS: Applets = {"tar": tar}
