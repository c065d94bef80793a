"""What people type: kinds and names, ports, manifests; and what is told when it makes no sense."""

from pathlib import Path

import pytest

from miniplane.cli import main, resources
from miniplane.cli.apply import three_way
from miniplane.cli.printers import aligned, identity, table
from miniplane.kinds import DEPLOYMENT, POD, REGISTRY, SERVICE


def test_kinds_and_names() -> None:
    """A list of kinds, a kind with names, and kind/name pairs are understood; categories open up."""
    assert [item.kind for item in resources.parse(REGISTRY, ["pods,svc"])] == [POD, SERVICE]
    assert resources.parse(REGISTRY, ["deploy", "a", "b"])[0].names == ("a", "b")
    assert [(item.kind, item.names) for item in resources.parse(REGISTRY, ["pod/a", "svc/b"])] == [
        (POD, ("a",)),
        (SERVICE, ("b",)),
    ]
    assert {POD, SERVICE, DEPLOYMENT} <= {item.kind for item in resources.parse(REGISTRY, ["all"])}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gizmos"], 'the server doesn\'t have a resource type "gizmos"'),
        ([], "you must specify the type of resource"),
        (["pod/a", "b"], "there is no need to specify a resource type"),
    ],
)
def test_nonsense_is_told_in_kubectls_words(words: list[str], message: str) -> None:
    """An unknown kind, no kind and a mixture are errors that say what is wrong."""
    with pytest.raises(ValueError, match="^" + message):
        resources.parse(REGISTRY, words)


def test_manifests_of_a_folder(tmp_path: Path) -> None:
    """A folder's manifests come in order of name, several documents and Lists opened, other files left alone."""
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod}]\n")
    (tmp_path / "a.yml").write_text("---\napiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Secret\n")
    (tmp_path / "notes.txt").write_text("no manifest")
    assert [obj["kind"] for obj in resources.load([str(tmp_path)])] == ["Service", "Secret", "Pod"]


def test_broken_manifests(tmp_path: Path) -> None:
    """A file that is no YAML, or has no kind, or is not there, is named in the error."""
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "kindless.yaml").write_text("a: 1")
    for name, message in (("bad.yaml", "error parsing"), ("kindless.yaml", "needs apiVersion and kind")):
        with pytest.raises(ValueError, match=message):
            resources.load([str(tmp_path / name)])
    with pytest.raises(ValueError, match="does not exist"):
        resources.load([str(tmp_path / "none.yaml")])


def test_three_way_merge() -> None:
    """Apply sets what differs, removes what only the last manifest had, and leaves what others set."""
    last = {"spec": {"a": 1, "gone": True}}
    wanted = {"spec": {"a": 2, "list": [{"x": 1}]}}
    live = {"spec": {"a": 1, "gone": True, "others": 5, "list": [{"x": 1, "defaulted": "y"}]}}
    assert three_way(last, wanted, live) == {"spec": {"a": 2, "gone": None}}
    assert three_way(wanted, wanted, {"spec": {"a": 2, "list": [{"x": 1, "defaulted": "y"}]}}) == {}


def test_tables_align() -> None:
    """Columns are as wide as their widest cell; wide columns show only when asked; empty cells say so."""
    columns = [{"name": "Name"}, {"name": "Node", "priority": 1}]
    rows = [{"cells": ["a-long-name", None], "object": {"metadata": {"namespace": "x"}}}]
    made = {"columnDefinitions": columns, "rows": rows}
    assert table([made], wide=False, namespaces=False) == ["NAME", "a-long-name"]
    assert table([made], wide=True, namespaces=True) == [
        "NAMESPACE   NAME          NODE",
        "x           a-long-name   <none>",
    ]
    assert aligned([]) == []


def test_identities() -> None:
    """A kind's group is part of the name that `-o name` prints."""
    assert (identity(POD, "a"), identity(DEPLOYMENT, "a")) == ("pod/a", "deployment.apps/a")


def test_unknown_commands_exit_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command is refused with a hint."""
    assert main.main(["gte"]) == 1
    assert 'unknown command "gte"' in capsys.readouterr().err


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`miniplane` alone lists what there is."""
    assert main.main([]) == 0
    shown = capsys.readouterr().out
    assert all(command.name in shown for group in main.GROUPS.values() for command in group)
