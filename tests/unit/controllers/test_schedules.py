"""When CronJobs are due."""

import zoneinfo
from datetime import UTC, datetime
from typing import Any

import pytest

from controllers import schedules
from miniplane.api import cron, meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def cron_job(created: str = "2026-01-02T03:00:00Z", last: str = "", **spec: Any) -> Object:
    """A CronJob every two minutes."""
    metadata = {"name": "c", "namespace": "n", "uid": "c", "creationTimestamp": created}
    status = {"lastScheduleTime": last} if last else {}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {}}}
    return {
        "metadata": metadata,
        "spec": {"schedule": "*/2 * * * *", "jobTemplate": template, **spec},
        "status": status,
    }


@pytest.mark.parametrize(
    ("made", "at", "many"),
    [
        (cron_job(), "2026-01-02T03:04:00Z", False),
        (cron_job("2026-01-02T03:04:01Z"), None, False),
        (cron_job(last="2026-01-02T03:04:00Z"), None, False),
        (cron_job(last="2026-01-02T03:02:00Z"), "2026-01-02T03:04:00Z", False),
        (cron_job(startingDeadlineSeconds=3), None, False),
        (cron_job(startingDeadlineSeconds=30), "2026-01-02T03:04:00Z", False),
        (cron_job("2026-01-01T00:00:00Z"), "2026-01-02T03:04:00Z", True),
        (cron_job("2026-01-01T00:00:00Z", startingDeadlineSeconds=600), "2026-01-02T03:04:00Z", False),
    ],
)
def test_the_last_start_missed_is_made_good(made: Object, at: str | None, many: bool) -> None:  # noqa: FBT001  a table
    """Of the starts since the last one the latest counts; a deadline limits how far back to look."""
    found = schedules.due(made, cron.parse(made["spec"]["schedule"]), UTC, NOW)
    assert (found.at and meta.timestamp(found.at), found.many_missed) == (at, many)
    assert found.next is not None
    assert meta.timestamp(found.next) == "2026-01-02T03:06:00Z"


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("30 2 * * *", "2026-01-01T00:00:00Z", ["2026-01-01T01:30:00Z", "2026-01-02T01:30:00Z"]),
        ("0 3 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]),
        ("30 * * * *", "2026-03-29T00:00:00Z", ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]),
        (
            "30 * * * *",
            "2026-10-25T00:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
        ),
    ],
)
def test_time_zones_and_their_changes(schedule: str, after: str, expected: list[str]) -> None:
    """Times are local; an hour that comes twice counts twice."""
    zone, moment = zoneinfo.ZoneInfo("Europe/Berlin"), meta.parse_timestamp(after)
    for text in expected:
        found = schedules.due_after(cron.parse(schedule), moment, zone)
        assert found is not None
        assert meta.timestamp(found) == text
        moment = found


def test_a_start_has_one_job() -> None:
    """Its name and annotation come from the moment; labels are the template's."""
    made = schedules.job_for(cron_job(), datetime(2026, 1, 2, 3, 4, tzinfo=UTC), zoneinfo.ZoneInfo("Europe/Berlin"))
    assert meta.name(made) == "c-29455384"
    assert meta.annotations(made) == {schedules.SCHEDULED: "2026-01-02T04:04:00+01:00"}
    assert meta.labels(made) == {"a": "b"}
