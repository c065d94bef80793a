"""The wheel has one import root, and works beside a project with its own `controllers/`."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_one_import_root(wheel: Path) -> None:
    """Top-level names are `miniplane` and the metadata, and nothing that is needed is missing."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"miniplane"}
    needed = {
        "miniplane/apiserver/__init__.py",
        "miniplane/controllers/addons/dns.yaml",
        "miniplane/agents/__init__.py",
        "miniplane/migrations/env.py",
        "miniplane/migrations/script.py.mako",
        "miniplane/demo/seed/01-pod-multi-container.yaml",
        "miniplane/demo/workloads.yaml",
        "miniplane/py.typed",
    }
    assert needed <= set(names)


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project with packages named like ours, and the unpacked wheel beside it in `site/`."""
    folder = tmp_path_factory.mktemp("project")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    for name in ("controllers", "apiserver", "agents", "migrations"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('HOME = "the user\'s own"\n')
    return folder


def python(project: Path, code: str) -> str:
    """Run code in the project, with the wheel importable and this checkout not."""
    lines = [
        "import sys",
        f"sys.path = [path for path in sys.path if path != {str(ROOT)!r}]",
        f"sys.path.append({str(project / 'site')!r})",
        code,
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("program", ["apiserver", "controllers", "agents"])
def test_both_programs_and_the_users_packages_are_found(project: Path, program: str) -> None:
    """Ours load from inside the wheel while the user's package keeps its name."""
    out = python(
        project,
        "from miniplane import components\n"
        f"ours = components.load({program!r})\n"
        f"import {program}\n"
        f"print(ours.__name__, ours.Settings.__name__, {program}.HOME)",
    )
    assert out == f"miniplane.{program} Settings the user's own"


def test_version(project: Path) -> None:
    """The installed command line answers."""
    out = python(project, "from miniplane.cli.main import main\nmain(['--version'])")
    assert out.startswith("miniplane ")


def test_migrations_run_from_the_wheel(project: Path) -> None:
    """An empty database is migrated by the wheel's own migrations."""
    out = python(
        project,
        "import asyncio\n"
        "from miniplane import components\n"
        "components.load('apiserver')\n"
        "from miniplane.apiserver.store import open_store\n"
        "async def main():\n"
        "    async with open_store('sqlite:///state.sqlite3') as store:\n"
        "        print(store.revision)\n"
        "asyncio.run(main())",
    )
    assert out.isdigit()
