"""A figure: what was measured, beside a limit that was measured in the same run."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `need` is the ratio measured / limit that it takes to pass.

    `limit` is what the machine can do at best for the same purpose, or a fixed promise of the design.
    """

    name: str
    measured: float
    limit: float
    unit: str
    against: str
    need: float = 1.0
    better: Literal["more", "less"] = "more"

    @property
    def ratio(self) -> float:
        """Measured in limits."""
        return self.measured / self.limit if self.limit else 0.0

    @property
    def passed(self) -> bool:
        """Whether the ratio is good enough."""
        return self.ratio >= self.need if self.better == "more" else self.ratio <= self.need


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that are measured together."""

    name: str
    about: str
    measure: Callable[[], Sequence[Figure]]


@dataclass(slots=True)
class Stopwatch:
    """The time that a block took."""

    seconds: float = field(default=0.0)

    def rate(self, amount: int) -> float:
        """Things a second."""
        return amount / self.seconds


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Measure a block."""
    watch = Stopwatch()
    start = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - start


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def pod(name: str, namespace: str = "default") -> dict[str, Any]:
    """A pod of an ordinary size, one container, about a kilobyte as the server stores it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "containers": [
                {
                    "name": f"c{number}",
                    "image": "nginx:1.27",
                    "ports": [{"containerPort": 8000 + number, "protocol": "TCP"}],
                    "env": [{"name": f"VARIABLE_{place}", "value": "some value"} for place in range(2)],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                }
                for number in range(1)
            ],
        },
    }
