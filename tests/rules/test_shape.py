"""The house rules on size and layout, as tests."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("apiserver", "controllers", "agents")
PRODUCT = ("miniplane", *PROGRAMS, "migrations")
MAX_FILE, MAX_FUNCTION = 600, 80


def sources(*folders: str) -> list[Path]:
    """The Python files below some folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    """A path as a test id."""
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a module, methods too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", sources(*PRODUCT, "tests", "bench"), ids=relative)
def test_files_and_functions_are_short(path: Path) -> None:
    """No file is longer than 600 lines and no function longer than 80."""
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE
    long = [node.name for node in functions(ast.parse(text)) if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION]
    assert not long


@pytest.mark.parametrize("path", sources(*PROGRAMS), ids=relative)
def test_programs_import_themselves_relatively(path: Path) -> None:
    """A program names itself only by relative imports, so the same folder works inside the wheel."""
    absolute = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
        absolute += [name for name in names if name.split(".")[0] in PROGRAMS]
    assert not absolute


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=relative)
def test_loggers_have_fixed_names(path: Path) -> None:
    """A logger's name does not change with the place that a program is installed in."""
    assert "logs.get(__name__)" not in path.read_text()


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=relative)
def test_no_bag_modules(path: Path) -> None:
    """No module is a bag: each is named for one idea."""
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


def tracked() -> list[Path]:
    """The files that git knows."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_names_a_machine() -> None:
    """No file holds a home directory, a registry's host or a lock file's download address."""
    bad = re.compile(rb"/home/[a-z]+/|/Users/[a-z]+/|files\.pythonhosted|registry\.npmjs\.org|deb\.debian\.org")
    me = Path(__file__).resolve()
    found = [relative(path) for path in tracked() if path.resolve() != me and bad.search(path.read_bytes())]
    assert not found
