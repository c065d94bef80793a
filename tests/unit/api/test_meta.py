"""Readers of metadata, times and conditions."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from miniplane.api import meta
from miniplane.api.kind import Kind, Scope
from miniplane.api.meta import Key

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
DEPLOYMENT = Kind(group="apps", version="v1", kind="Deployment", plural="deployments", scope=Scope.NAMESPACED)


def test_readers_of_a_bare_object() -> None:
    """Every reader gives an empty value for an object without metadata, not an error."""
    assert meta.key_of({}) == Key("", "")
    assert not any((meta.labels({}), meta.annotations({}), meta.owner_references({}), meta.finalizers({})))
    assert meta.revision({}) == 0
    assert not meta.is_deleted({"metadata": None})


def test_key_round_trip() -> None:
    """A key prints as `namespace/name`, or the name alone, and is read back."""
    for key, text in ((Key("a", "b"), "a/b"), (Key("", "b"), "b")):
        assert str(key) == text
        assert Key.parse(text) == key


def test_owner_reference_is_found_again() -> None:
    """The owner that is written as controller is the controller that is read, by uid."""
    owner = {"metadata": {"name": "web", "uid": "u1"}}
    reference = meta.owner_reference(owner, kind=DEPLOYMENT)
    child = {"metadata": {"ownerReferences": [{"name": "other", "uid": "u0"}, reference]}}
    assert (reference["apiVersion"], reference["kind"], reference["controller"]) == ("apps/v1", "Deployment", True)
    assert meta.controller_of(child) == reference
    assert meta.is_controlled_by(child, owner)
    assert not meta.is_controlled_by(child, {"metadata": {"uid": "u0"}})


def test_timestamps() -> None:
    """Times are written in UTC to the second or microsecond, and read with any offset and precision."""
    local = NOW.astimezone(timezone(timedelta(hours=5)))
    assert meta.timestamp(local) == "2026-01-02T03:04:05Z"
    assert meta.micro_timestamp(local) == "2026-01-02T03:04:05.000006Z"
    assert meta.parse_timestamp("2026-01-02T08:04:05.000006789+05:00") == NOW
    with pytest.raises(ValueError, match="offset"):
        meta.parse_timestamp("2026-01-02T03:04:05")


def test_set_condition_keeps_the_transition_time_of_an_unchanged_status() -> None:
    """A new message is a change but no transition; the same condition again is no change; a new status is both."""
    conditions: list[dict[str, str]] = []
    later = NOW + timedelta(minutes=1)
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False", "message": "a"}, NOW)
    first = conditions[0]
    assert not meta.set_condition(conditions, {"type": "Ready", "status": "False", "message": "a"}, later)
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False", "message": "b"}, later)
    assert conditions[0]["lastTransitionTime"] == meta.timestamp(NOW)
    assert meta.set_condition(conditions, {"type": "Ready", "status": "True", "message": "b"}, later)
    assert conditions[0]["lastTransitionTime"] == meta.timestamp(later)
    assert first["message"] == "a"
    assert meta.is_condition_true({"status": {"conditions": conditions}}, "Ready")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".spec.ports[1].name", "b"),
        ("spec.ports[0].name", "a"),
        (".metadata.labels['x.io/y']", "v"),
        (r".metadata.labels.x\.io/y", "v"),
        (".spec.ports[7].name", None),
        (".spec.ports.name", None),
        (".status.phase", None),
    ],
)
def test_get_path(path: str, value: object) -> None:
    """A path reaches through maps, lists and dotted keys, and gives None where a step is missing."""
    obj = {"metadata": {"labels": {"x.io/y": "v"}}, "spec": {"ports": [{"name": "a"}, {"name": "b"}]}}
    assert meta.get_path(obj, path) == value


def test_a_wrong_path_is_refused() -> None:
    """A path that can't be read is an error of the one who wrote it."""
    with pytest.raises(ValueError, match="not a path"):
        meta.get_path({}, ".a..b")
