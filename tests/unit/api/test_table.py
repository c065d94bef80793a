"""Tables as kubectl prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from miniplane.api import table
from miniplane.api.kind import Column, Kind, Scope
from miniplane.errors import ApiError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KIND = Kind(
    group="",
    version="v1",
    kind="Thing",
    plural="things",
    scope=Scope.NAMESPACED,
    columns=(
        table.NAME,
        Column("Hosts", ".spec.hosts"),
        Column("Count", ".spec.count", type="integer", priority=1),
        table.AGE,
    ),
)
THING = {
    "kind": "Thing",
    "metadata": {"name": "a", "creationTimestamp": "2026-01-01T23:00:00Z"},
    "spec": {"hosts": ["x", "y"], "count": 3},
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 60, "5h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (100 * 3600, "4d4h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (10 * 365 * 86400, "10y"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    """Spans are shortened at upstream's borders."""
    assert table.human_duration(seconds) == text


def test_a_list_as_a_table() -> None:
    """Rows hold rendered cells and the metadata of the object; definitions carry the priority."""
    result = table.to_table(KIND, [THING, {"metadata": {"name": "b"}}], NOW, metadata={"resourceVersion": "7"})
    assert (result["kind"], result["apiVersion"], result["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "7"},
    )
    assert [(item["name"], item["priority"]) for item in result["columnDefinitions"]] == [
        ("Name", 0),
        ("Hosts", 0),
        ("Count", 1),
        ("Age", 0),
    ]
    assert [item["cells"] for item in result["rows"]] == [["a", "x,y", 3, "60m"], ["b", "<none>", None, "<unknown>"]]
    assert result["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": THING["metadata"],
    }


def test_what_a_row_includes() -> None:
    """A row holds the whole object or none where the request says so; another word is a BadRequest."""
    assert table.row(KIND, THING, NOW, include_object="Object")["object"] == THING
    assert table.row(KIND, THING, NOW, include_object="None")["object"] is None
    assert table.include_option("") == "Metadata"
    with pytest.raises(ApiError, match="unrecognized includeObject value"):
        table.include_option("All")


def test_a_later_watch_event() -> None:
    """One row without definitions."""
    result = table.to_table(KIND, [THING], NOW, definitions=False)
    assert (result["columnDefinitions"], len(result["rows"])) == ([], 1)


def test_a_kind_without_columns() -> None:
    """Such a kind prints its name and when it was created."""
    bare = Kind(group="x", version="v1", kind="Bare", plural="bares", scope=Scope.CLUSTER)
    assert [item["name"] for item in table.column_definitions(bare)] == ["Name", "Created At"]
    assert table.cells(bare, THING, NOW) == ["a", "2026-01-01T23:00:00Z"]


def test_ages_move_with_the_clock() -> None:
    """The same object is older later."""
    assert table.cells(KIND, THING, NOW + timedelta(hours=2))[-1] == "3h"


def test_metadata_only_lists() -> None:
    """PartialObjectMetadataList holds the metadata of each."""
    result = table.partial_list([THING], {"resourceVersion": "3"})
    assert result["items"][0]["metadata"] == THING["metadata"]
    assert result["metadata"] == {"resourceVersion": "3"}
