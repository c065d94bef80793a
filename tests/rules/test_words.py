"""House rules on what stands in the text: exceptions with their reasons, time, metric names, the list of kinds."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniplane.api.kind import Kind
from miniplane.kinds import KINDS, REVIEWS

ROOT = Path(__file__).parents[2]
PRODUCT = ("miniplane", "apiserver", "controllers", "agents", "migrations")

BLOCKING = {
    "miniplane/cli/supervisor.py": "a process without a loop that only waits for others",
    "miniplane/cli/local.py": "as the supervisor",
}
"""Where `time.sleep` may stand, and why."""
YIELDING = {
    "miniplane/testing/clock.py": "turns the loop until simulated time has had its effects",
    "apiserver/store/memory.py": "lets watches run between two commits, as a disk would",
    "agents/kubelet/applets/shell.py": "a script's loop without a sleep of its own must not stop the agent",
}
"""Where `asyncio.sleep(0)` may stand, and why."""
SUPERVISORS = {
    "apiserver/http/middleware/errors.py",
    "miniplane/runtime/controller.py",
    "miniplane/runtime/attempt.py",
    "agents/kubelet/kubelet.py",
    "agents/proxy/loop.py",
}
"""Who may catch every Exception and go on."""
UPSTREAM_METRICS = ("apiserver_", "workqueue_", "controller_runtime_", "kubeproxy_")
UNITS = ("_total", "_seconds", "_bytes", "_info", "_ratio")
COUNTS = ("_depth", "_objects", "_problems", "_watches", "_requests", "_connections", "_pods")


def sources(*folders: str) -> list[Path]:
    """The Python files below some folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    """A file as rules and test ids name it."""
    return path.relative_to(ROOT).as_posix()


def lines(pattern: str, path: Path) -> list[int]:
    """The numbers of the lines with a match."""
    found = re.compile(pattern)
    return [number for number, line in enumerate(path.read_text().splitlines(), 1) if found.search(line)]


def catches_all(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """Handlers of every Exception that do not pass it on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception":
            last = node.body[-1]
            if not (isinstance(last, ast.Raise) and last.exc is None):
                yield node


@pytest.mark.parametrize("path", sources(*PRODUCT, "tests", "bench"), ids=name)
def test_exceptions_to_the_rules_carry_their_reason(path: Path) -> None:
    """A `noqa` or `type: ignore` names what it silences and says why."""
    assert lines(r"[#] noqa(?!: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*\s+\S)", path) == []
    assert lines(r"[#] type: ignore(?!\[[a-z, -]+\]\s+\S)", path) == []


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=name)
def test_nothing_waits_by_the_wall(path: Path) -> None:
    """Waiting is for an event or for the injected clock: no blocking sleep, no turning of the loop."""
    blocking, yielding = lines(r"\btime\.sleep\(", path), lines(r"\basyncio\.sleep\(0\)", path)
    assert not blocking or name(path) in BLOCKING
    assert not yielding or name(path) in YIELDING


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=name)
def test_only_supervisors_catch_everything(path: Path) -> None:
    """A handler of every Exception belongs to one of the supervisors, or says beside it why it is none."""
    if name(path) not in SUPERVISORS:
        text = path.read_text().splitlines()
        wide = [node.lineno for node in catches_all(ast.parse("\n".join(text)))]
        assert [number for number in wide if "BLE001 " not in text[number - 1]] == []


def metrics() -> dict[str, str]:
    """`{metric: kind}` of every metric that the product makes with a literal name."""
    kinds = ("Counter", "Gauge", "Histogram", "counter", "gauge", "histogram")
    found: dict[str, str] = {}
    for path in sources(*PRODUCT):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found[first.value] = node.func.id.lower()
    return found


def test_metric_names() -> None:
    """Upstream's names or `miniplane_…`, with the unit at the end; counters and nothing else end in `_total`."""
    found = metrics()
    assert len(found) > 10
    for metric, kind in found.items():
        assert metric.startswith((*UPSTREAM_METRICS, "miniplane_")), metric
        assert metric.endswith((*UNITS, *COUNTS)), metric
        assert metric.endswith("_total") == (kind == "counter"), metric


def test_every_kind_is_in_the_list() -> None:
    """A file that makes a Kind is one entry of a list: whatever iterates kinds then knows it."""
    made = []
    for path in sources("miniplane/kinds"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        made += [path for node in calls if isinstance(node.func, ast.Name) and node.func.id == Kind.__name__]
    assert len(made) == len(set(made)) == len((*KINDS, *REVIEWS))
    assert {path.stem for path in made} == {kind.kind.lower() for kind in (*KINDS, *REVIEWS)}
