"""Import rules that import-linter can't say: parts of a library, and siblings that must not know each other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("miniplane", "apiserver", "controllers", "agents", "migrations")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

SERVERS = (
    "apiserver/",
    "agents/kubelet/server/",
    "agents/kubelet/images/web.py",  # an image that serves HTTP
    "agents/ingress/",
    "agents/dns/server.py",  # health and readiness, as CoreDNS has them
    "miniplane/observe/health.py",
    "miniplane/upgrade.py",  # takes over connections of both servers
    "agents/node.py",  # starts the kubelet's server
)
CLIENTS = (
    "miniplane/client/",
    "agents/ingress/",
    "apiserver/http/proxy.py",  # speaks to kubelets
    "apiserver/http/webhooks.py",  # calls admission webhooks
    "apiserver/http/podproxy.py",  # speaks to pods, by way of kubelets
)


def name(path: Path) -> str:
    """A file as rules and test ids name it."""
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, relative ones with their dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" if node.module else f"{module}{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_who_may_serve_and_call_http(path: Path) -> None:
    """`aiohttp.web` is for servers only, an HTTP client session for the client and the two proxies only."""
    names = set(imported(path))
    if not name(path).startswith(SERVERS):
        assert not [found for found in names if found.startswith("aiohttp.web") and "WS" not in found]
    if not name(path).startswith(CLIENTS):
        assert "ClientSession" not in path.read_text()


def siblings(folder: str) -> list[Path]:
    """The modules of a folder that must not know each other."""
    return sorted((ROOT / folder).glob("*.py"))


def _registers(path: Path) -> bool:
    """Whether a module is a controller, which makes an `On`, and not one that controllers share."""
    return path.is_file() and re.search(r"\bOn\(", path.read_text()) is not None


@pytest.mark.parametrize("path", siblings("controllers"), ids=name)
def test_controllers_do_not_know_each_other(path: Path) -> None:
    """A controller imports none of its siblings but the pure parts that several share; the manager lists them all."""
    if path.stem in ("manager", "__init__", "__main__"):
        return
    names = {found.lstrip(".").split(".")[0] for found in imported(path) if found.startswith(".")}
    assert not {name for name in names if _registers(ROOT / "controllers" / f"{name}.py")}


@pytest.mark.parametrize("path", siblings("apiserver/admission"), ids=name)
def test_admission_plugins_do_not_know_each_other(path: Path) -> None:
    """A plugin imports the chain's contract and how a write is told; one module lists them in order."""
    if path.stem in ("plugins", "__init__", "chain", "asked"):
        return
    names = {found.split(".")[1] for found in imported(path) if found.startswith(".") and not found.startswith("..")}
    assert names <= {"chain", "asked"}


@pytest.mark.parametrize("path", sorted((ROOT / "miniplane" / "kinds").rglob("*.py")), ids=name)
def test_kinds_do_not_know_each_other(path: Path) -> None:
    """A kind imports shared fragments, never another kind's file, unless it is a face of that; the list imports all."""
    if path.parent.name == "kinds" or "face=Face(" in path.read_text():
        return
    modules = {found for found in imported(path) if found.startswith("miniplane.kinds.")}
    fragments = {"podspec", *(shared.stem for shared in (ROOT / "miniplane" / "kinds").glob("*.py"))}
    foreign = {found.split(".")[2] for found in modules} - fragments
    assert foreign <= {path.relative_to(ROOT / "miniplane" / "kinds").parts[0]}
