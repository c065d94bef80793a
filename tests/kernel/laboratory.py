"""The process that holds all namespaces: reads requests as JSON lines, answers each with one; ends with its input.

Run as `python -m tests.kernel.laboratory`; `lab.Lab` is its face.
"""

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.kernel.namespaces import Namespace, enter_private
from tests.kernel.probing import Probe, Prober
from tests.kernel.wiring import Wiring, run


class Laboratory:
    """What can be asked; each method is a request."""

    def __init__(self) -> None:
        self._scratch: Namespace | None = None
        self._wiring: Wiring | None = None
        self._prober: Prober | None = None

    def list_rules(self, steps: Sequence[str]) -> list[str]:
        """Load each text in turn; the kernel's listing after each. Rules of before stay, unless a text flushes them."""
        self._scratch = self._scratch or Namespace.new()
        listings = []
        with self._scratch.inside():
            for text in steps:
                run("nft", "-f", "-", text=text)
                listings.append(run("nft", "-j", "list", "ruleset"))
        return listings

    def wire(self, ports: Sequence[int]) -> None:
        """Make the cluster's links and listen on `ports` everywhere."""
        self._wiring = Wiring()
        self._prober = Prober(self._wiring, ports)

    def load(self, rules: Mapping[str, str], routes: Mapping[str, Sequence[str]]) -> None:
        """Give each node its rules and routes."""
        assert self._wiring is not None
        self._wiring.load(rules, routes)

    def probe(self, probes: Sequence[Sequence[Any]], patience_s: float) -> list[list[object]]:
        """Try connections."""
        assert self._prober is not None
        return self._prober.run([Probe(*item) for item in probes], patience_s)


def main() -> None:
    """Serve until the input ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    enter_private()
    laboratory = Laboratory()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": getattr(laboratory, request.pop("do"))(**request)}
        except (OSError, RuntimeError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
