"""The real kubectl against a real server: HTTPS, client certificate, everything on disk below tmp_path."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from apiserver import Settings, run

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """The output, parsed."""
        return orjson.loads(self.out)


class Kubectl:
    """Runs kubectl as one user of one server."""

    def __init__(self, binary: str, kubeconfig: Path, home: Path) -> None:
        self._binary = binary
        self.environ = {"KUBECONFIG": str(kubeconfig), "HOME": str(home), "PATH": os.environ.get("PATH", "")}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A running command, its output piped; the caller ends it."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            self._binary, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environ
        )

    async def run(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command to its end."""
        process = await self.start(*arguments)
        out, err = await process.communicate(stdin.encode())
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def __call__(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command that must succeed."""
        done = await self.run(*arguments, stdin=stdin)
        assert done.code == 0, f"kubectl {' '.join(arguments)}: {done.err}{done.out}"
        return done


@pytest.fixture(scope="session")
def binary() -> str:
    """The kubectl to test with: `MINIPLANE_KUBECTL`, or the one on PATH."""
    found = shutil.which(os.environ.get("MINIPLANE_KUBECTL", "kubectl"))
    if not found:
        pytest.skip("kubectl is not on PATH")
    return found


@pytest.fixture
async def data_dir(tmp_path: Path) -> AsyncIterator[Path]:
    """The data directory of a running server."""
    ready = asyncio.Event()
    settings = Settings(data_dir=tmp_path / "data", port=0, nodes=("node-1",))
    server = asyncio.create_task(run(settings, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({server, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        waiting.cancel()
        server.result()
    yield settings.data_dir
    server.cancel()
    await asyncio.wait({server})


@pytest.fixture
def kubectl(binary: str, data_dir: Path, tmp_path: Path) -> Kubectl:
    """Kubectl as the administrator."""
    return Kubectl(binary, data_dir / "kubeconfig", tmp_path)
