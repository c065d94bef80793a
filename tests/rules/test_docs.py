"""What the documentation says exists: links, make targets, kinds and settings."""

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from miniplane import components, config

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def name(path: Path) -> str:
    """A page as a test id."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    """Every `make target` that a page shows is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)\s*(?:\$ )?make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert shown <= targets


@pytest.mark.parametrize("program", components.PROGRAMS)
def test_settings_are_described(program: str) -> None:
    """Every field of a program's settings has a docstring, which is its help text."""
    settings = components.load(program).Settings
    assert dataclasses.is_dataclass(settings)
    assert [field for field, text in config.describe(settings).items() if not text] == []


@pytest.mark.parametrize("generator", sorted((ROOT / "docs").rglob("generate.py")), ids=name)
def test_generated_pages_are_current(generator: Path) -> None:
    """What settings' docstrings say and what commands print is what the page shows; `make docs` renews it."""
    spec = importlib.util.spec_from_file_location("generate", generator)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.TARGET.read_text() == generate.render()
