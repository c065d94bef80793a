"""The tests' side of the laboratory: starts its process, asks it, ends it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class LabError(RuntimeError):
    """The kernel or a tool refused something."""


class Lab:
    """A process with private namespaces, in which rules are loaded and packets sent."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.kernel.laboratory"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; its namespaces go with it."""
        self.process.kill()
        self.process.communicate()

    def list_rules(self, steps: Sequence[str]) -> list[Any]:
        """Load each text in turn into one namespace; the kernel's listing after each, as parsed JSON."""
        return [json.loads(text) for text in self._ask("list_rules", steps=list(steps))]

    def wire(self, ports: Sequence[int]) -> None:
        """Make nodes, places for pods and the outside, listening on `ports`."""
        self._ask("wire", ports=list(ports))

    def load(self, rules: Mapping[str, str], routes: Mapping[str, Sequence[str]]) -> None:
        """Give each node its rules and routes."""
        self._ask("load", rules=rules, routes=routes)

    def probe(self, probes: Sequence[Sequence[Any]], patience_s: float) -> list[list[Any]]:
        """Try connections; `[verdict, dst, port, src]` for each."""
        return list(self._ask("probe", probes=probes, patience_s=patience_s))

    def _ask(self, request: str, **parameters: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": request, **parameters}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError((self.process.communicate()[1] or "the laboratory ended").strip().splitlines()[-1])
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(answer["error"])
        return answer["result"]


@cache
def why_not() -> str:
    """Why there can be no laboratory here; empty if there can."""
    missing = [tool for tool in ("nft", "ip") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        with Lab() as lab:
            lab.list_rules(["table ip x {\n}\n"])
            lab.wire([])
    except LabError as error:
        return f"no network namespaces, or not all that is needed in them: {error}"
    return ""
