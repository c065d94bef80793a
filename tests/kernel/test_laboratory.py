"""The laboratory leaves nothing behind and touches nothing of the host's."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.cases import LISTENING
from tests.kernel.lab import ROOT, Lab, why_not

pytestmark = pytest.mark.nft

_PARENT = """
import sys
from tests.kernel.lab import Lab
lab = Lab()
lab.wire([80])
print(lab.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _possible() -> None:
    if reason := why_not():
        pytest.skip(reason)


def _host() -> list[str]:
    commands = ("ip -o link", "ip -o addr", "ip route show table all", "ip rule", "nft list ruleset")
    return [subprocess.run(words.split(), capture_output=True, text=True, check=False).stdout for words in commands]


def _held(pid: int) -> set[str]:
    """The network namespaces that a process is in or keeps open."""
    process = Path("/proc", str(pid))
    try:
        links = [process / "ns" / "net", *(process / "fd").iterdir()]
        return {target for link in links if (target := str(link.readlink())).startswith("net:")}
    except OSError:
        return set()


def _held_by_anybody() -> set[str]:
    return set().union(*(_held(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()))


def test_a_laboratory_touches_nothing_of_the_host() -> None:
    """Links, addresses, routes and rules of the host are the same before, while one is wired, and after."""
    before = _host()
    with Lab() as lab:
        lab.wire(LISTENING)
        lab.load({"node-1": "table ip x {\n}\n"}, {"node-1": ["10.244.1.2 dev pod2"]})
        assert _host() == before
    assert _host() == before


def test_no_namespace_outlives_a_laboratory() -> None:
    """When it ends, nobody holds any of its namespaces."""
    with Lab() as lab:
        lab.wire([80])
        held = _held(lab.process.pid) - _held(os.getpid())
        assert len(held) > 30
    assert not held & _held_by_anybody()


def test_a_laboratory_dies_with_its_parent() -> None:
    """Even a killed test run leaves no process and no namespace behind."""
    command, pipe = [sys.executable, "-c", _PARENT], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        held = _held(pid) - _held(os.getpid())
        descriptor = os.pidfd_open(pid)
        parent.kill()
    try:
        assert select.select([descriptor], [], [], 10)[0]
    finally:
        os.close(descriptor)
    assert held
    assert not held & _held_by_anybody()
