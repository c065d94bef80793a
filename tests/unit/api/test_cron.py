"""Cron schedules: what is understood, when it is due, and what is refused in whose words."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from miniplane.api import cron

START = datetime(2026, 1, 31, 10, 7, 30, tzinfo=UTC)
"""A Saturday."""


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("*/5 * * * *", "2026-01-31T10:10"),
        ("7 * * * *", "2026-01-31T11:07"),
        ("0 0 * * *", "2026-02-01T00:00"),
        ("30 9-11/2 * * *", "2026-01-31T11:30"),
        ("5/15 * * * *", "2026-01-31T10:20"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 * * MON", "2026-02-02T12:00"),
        ("0 12 15 * mon", "2026-02-02T12:00"),
        ("0 12 ? feb,MAR ?", "2026-02-01T12:00"),
        ("@hourly", "2026-01-31T11:00"),
        ("@weekly", "2026-02-01T00:00"),
        ("@monthly", "2026-02-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
    ],
)
def test_when_a_schedule_is_due(schedule: str, due: str) -> None:
    """The first time after a moment is found, over months and years; limited days of month and week are either."""
    found = cron.parse(schedule).after(START)
    assert found is not None
    assert found.isoformat(timespec="minutes").removesuffix("+00:00") == due


def test_every() -> None:
    """`@every` counts from the moment, in whole seconds and at least one."""
    assert cron.parse("@every 1h30m").after(START) == START + timedelta(minutes=90)
    assert cron.parse("@every 10ms").after(START) == START + timedelta(seconds=1)


def test_what_never_comes() -> None:
    """A day that no year has is not looked for without end."""
    assert cron.parse("0 0 30 2 *").after(START) is None


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("9-3 * * * *", "beginning of range (9) beyond end of range (3): 9-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_what_is_no_schedule(schedule: str, words: str) -> None:
    """Errors are those of the parser that upstream uses."""
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        cron.parse(schedule)
