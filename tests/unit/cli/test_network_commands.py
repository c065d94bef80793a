"""The commands that explain the network, on manifests: what they print is what programs and people rely on.

MINIPLANE_RENEW=1 writes the golden files anew; look at the difference before committing it.
"""

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from miniplane.cli import main
from miniplane.cli.worlds import manifests

GOLDEN = Path(__file__).parents[2] / "golden" / "network"
FOLDER = str(GOLDEN / "manifests")
WISHES = str(GOLDEN / "expectations.yaml")

CASES = {
    "reach.txt": (0, ["reach", "--port", "http"]),
    "reach.json": (0, ["reach", "--port", "8000", "-o", "json"]),
    "reach.xml": (0, ["reach", "--port", "5432", "-n", "shop", "-o", "junit"]),
    "reach.html": (0, ["reach", "--port", "5432", "-o", "html"]),
    "assert.txt": (1, ["reach", "--assert", WISHES]),
    "assert.json": (1, ["reach", "--assert", WISHES, "-o", "json"]),
    "assert.xml": (1, ["reach", "--assert", WISHES, "-o", "junit"]),
    "trace.txt": (0, ["trace", "deploy/web", "api.shop", "-n", "shop", "--reply"]),
    "trace.json": (0, ["trace", "shop/web-0", "svc/shop/api", "-o", "json"]),
    "trace-all.json": (0, ["trace", "shop/web-0", "svc/shop/api", "--all-backends", "-o", "json"]),
    "trace-dropped.yaml": (1, ["trace", "blog/stranger", "shop/db", "-o", "yaml"]),
    "trace-no-dns.txt": (1, ["trace", "shop/api-0", "db"]),
    "trace-url.txt": (1, ["trace", "external", "http://shop.example.com/api/items"]),
    "trace.svg": (1, ["trace", "deploy/web", "http://shop.example.com/api/items", "-n", "shop", "-o", "svg"]),
    "trace-all.svg": (0, ["trace", "shop/web-0", "svc/shop/api", "--all-backends", "--reply", "-o", "svg"]),
    "haproxy.cfg": (0, ["haproxy"]),
    "tables-service.nft": (0, ["tables", "node-1", "--service", "api", "-n", "shop"]),
    "tables-policy.txt": (0, ["tables", "node-1", "--policy", "shop/api", "-o", "explain"]),
    "lint.txt": (0, ["lint", "network"]),
    "lint.json": (1, ["lint", "network", "--strict", "-o", "json"]),
    "lint.xml": (0, ["lint", "network", "-o", "junit"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's output and exit code are the golden file's."""
    code, argv = CASES[name]
    assert main.main([*argv, "--from-dir", FOLDER]) == code
    printed = capsys.readouterr().out
    golden = GOLDEN / name
    if os.environ.get("MINIPLANE_RENEW"):
        golden.write_text(printed)
    assert printed == golden.read_text()


def test_the_forms_are_well_formed() -> None:
    """JSON, YAML and XML can be read, with the keys that are promised."""
    assert set(json.loads((GOLDEN / "reach.json").read_text())) == {"port", "protocol", "pods", "matrix"}
    trace = json.loads((GOLDEN / "trace.json").read_text())
    assert set(trace) == {"verdict", "destination", "backends", "hops"}
    assert set(trace["hops"][0]) == {"stage", "node", "object", "field", "verdict", "text", "packet"}
    assert yaml.safe_load((GOLDEN / "trace-dropped.yaml").read_text())["verdict"] == "dropped"
    suite = ET.fromstring((GOLDEN / "assert.xml").read_text())
    assert suite.tag == "testsuites"
    assert suite.attrib["failures"] == "2"


def _manifest(folder: Path, *objects: object) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yaml").write_text(yaml.safe_dump_all(objects))
    return str(folder)


def _pod(name: str) -> object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {}}


DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {"matchLabels": {"app": "b"}}},
}


def test_a_difference_tells_what_opens_and_closes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two directories are compared pair by pair; the exit code says whether they differ."""
    old = _manifest(tmp_path / "old", _pod("a"), _pod("b"), DENY_ALL)
    new = _manifest(tmp_path / "new", _pod("a"), _pod("b"), _pod("c"))
    assert main.main(["reach", "--diff", old, new, "--port", "80"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "+ default/c  (new pod)",
        "opened  default/a → default/b  TCP 80  (was ingress)",
    ]
    assert main.main(["reach", "--diff", new, old, "--port", "80", "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["removed"] == ["default/c"]
    assert found["ports"][0]["closed"] == [{"from": "default/a", "to": "default/b", "was": "allow", "is": "ingress"}]
    assert main.main(["reach", "--diff", old, old, "--port", "80"]) == 0
    assert capsys.readouterr().out == "no difference in who reaches whom\n"


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["reach"], "say which port"),
        (["reach", "--port", "80", "--from-dir", "nowhere"], "nowhere is no directory"),
        (["reach", "--diff", "nowhere", "nowhere", "-o", "html"], "prints as table or json"),
        (["tables", "node-9", "--from-dir", FOLDER], 'nodes "node-9" not found'),
        (["tables", "node-1", "--service", "nobody", "--from-dir", FOLDER], 'Service "default/nobody" not found'),
        (["reach", "--assert", WISHES, "--from-dir", FOLDER, "-o", "html"], "expectations print as"),
    ],
)
def test_bad_questions(argv: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be answered is said on standard error, with exit code 1."""
    assert main.main(argv) == 1
    assert problem in capsys.readouterr().err


def test_directories_are_read_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sub-folders count, hidden ones don't; an object stated twice is an error, an empty folder too."""
    _manifest(tmp_path / "one", _pod("a"))
    _manifest(tmp_path / "two" / "deep", _pod("b"))
    _manifest(tmp_path / ".git", _pod("c"))
    assert main.main(["reach", "--port", "80", "-o", "json", "--from-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["pods"] == ["default/a", "default/b"]
    _manifest(tmp_path / "three", _pod("a"))
    assert main.main(["reach", "--port", "80", "--from-dir", str(tmp_path)]) == 1
    assert "stated more than once: Pod default/a" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main.main(["reach", "--port", "80", "--from-dir", str(tmp_path / "empty")]) == 1
    assert "no manifests in" in capsys.readouterr().err


def test_the_references_python_runs() -> None:
    """The functions that the reference page shows are there and answer."""
    page = (GOLDEN.parents[2] / "docs" / "reference" / "network-commands.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"objects": manifests(Path(FOLDER))}
    exec(compile(code, "network-commands.md", "exec"), names)
    assert [table.port for table in names["tables"]] == [80, 443, "http"]
