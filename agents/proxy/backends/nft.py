"""nft in a namespace: a process for each whole table, and one kept open for changes (docs/adr/0009)."""

import os
import subprocess
from collections.abc import Sequence
from functools import partial

from ...network.kernel.namespaces import Namespace

_END = b"meta expression, datatype mark"
"""How the answer to `describe mark` begins: the end of what a change had to say."""
LONGEST = 32 * 1024
"""Bytes of a change that goes through the process kept open; more goes through one of its own."""


def _start(arguments: Sequence[str], errors: int) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    home = {**os.environ, "HOME": os.devnull}  # an interactive nft would write its history to the user's
    return subprocess.Popen(["nft", *arguments], stdin=pipe, stdout=pipe, stderr=errors, env=home)  # noqa: S603, S607  a fixed program, found by PATH


def nft(namespace: Namespace, *arguments: str, text: str = "") -> str:
    """Run nft once; what it printed. Raises OSError with its words."""
    process = namespace.call(partial(_start, arguments, subprocess.PIPE))
    out, errors = process.communicate(text.encode())
    if process.returncode:
        raise OSError(process.returncode, f"nft: {errors.decode().strip()[-2000:]}")
    return out.decode()


class NftSession:
    """The process kept open. Blocking, for one thread at a time."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, commands: Sequence[str]) -> None:
        """Do all commands, a line each, in one transaction. Raises OSError with nft's words; then nothing is done."""
        line = "; ".join(commands).encode()
        if len(line) > LONGEST:
            nft(self._namespace, "-f", "-", text="".join(f"{command}\n" for command in commands))
            return
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._namespace.call(partial(_start, ("-i",), subprocess.STDOUT))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + b"\ndescribe mark\n")
        self._process.stdin.flush()
        said: list[bytes] = []
        for answer in self._process.stdout:
            if answer.startswith(_END):
                break
            said.append(answer)
        else:
            raise OSError(0, "nft ended")
        if said:
            raise OSError(1, f"nft: {b''.join(said).decode().strip()[-2000:]}")

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
