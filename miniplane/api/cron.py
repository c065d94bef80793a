"""Cron schedules: what CronJobs run by.

The dialect is upstream's (the Go package robfig/cron, standard parser): five fields with lists, ranges, steps and
names, the descriptors `@hourly` and the like, and `@every 1h30m`. Where day of month and day of week are both limited,
either will do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: index for index, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: index for index, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(h|ms|m|us|µs|ns|s)")
_YEARS = 5
"""How far ahead a moment is looked for; what never comes (30 February) is not found."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: Mapping[str, int]


_FIELDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is due. `every` is set for `@every`, the sets for everything else."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    """Whether the day of month is not limited."""
    any_weekday: bool = True
    every: timedelta | None = None

    def after(self, moment: datetime) -> datetime | None:
        """The first time due after a moment, in the moment's time zone; None where there is none in five years.

        A local time that does not exist on the day clocks go forward is due when they have gone.
        """
        if self.every is not None:
            return moment.replace(microsecond=0) + self.every
        candidate = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = candidate.year + _YEARS
        while candidate.year <= limit:
            if candidate.month not in self.months:
                candidate = _next_month(candidate)
            elif not self._is_day(candidate):
                candidate = candidate.replace(hour=0, minute=0) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate += timedelta(minutes=1)
            else:
                return candidate
        return None

    def _is_day(self, moment: datetime) -> bool:
        by_date, by_weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_date and by_weekday
        return by_date or by_weekday


def _next_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0)
    return (
        first.replace(year=first.year + 1, month=1)
        if first.month == _FIELDS[3].high
        else first.replace(month=first.month + 1)
    )


def parse(text: str) -> Schedule:
    """The schedule that a text means.

    Raises:
        ValueError: In the words of upstream's parser.
    """
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@"):
        return _descriptor(text)
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(words)}: [{' '.join(words)}]")
    return _of_fields(words)


def _of_fields(words: Sequence[str]) -> Schedule:
    minutes, hours, days, months, weekdays = (_field(word, bounds) for word, bounds in zip(words, _FIELDS, strict=True))
    free = _is_free(words[2]), _is_free(words[4])
    return Schedule(minutes, hours, days, months, weekdays, *free)


def _is_free(word: str) -> bool:
    return any(part in ("*", "?") for part in word.split(","))


def _descriptor(text: str) -> Schedule:
    if text in _DESCRIPTORS:
        return _of_fields(_DESCRIPTORS[text].split())
    if text.startswith("@every "):
        return Schedule(every=_duration(text.removeprefix("@every "), text))
    raise ValueError(f"unrecognized descriptor: {text}")


def _duration(text: str, whole: str) -> timedelta:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'failed to parse duration {whole}: time: invalid duration "{text}"')
    try:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        return timedelta(seconds=max(int(seconds), 1))
    except OverflowError as error:
        raise ValueError(f'failed to parse duration {whole}: time: invalid duration "{text}"') from error


def _field(word: str, bounds: _Bounds) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        if part:
            found |= _range(part, bounds)
    return frozenset(found)


def _range(text: str, bounds: _Bounds) -> set[int]:
    span, *steps = text.split("/")
    ends = span.split("-")
    if len(ends) > 2:  # noqa: PLR2004  a range has two ends
        raise ValueError(f"too many hyphens: {text}")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    if ends[0] in ("*", "?"):
        low, high = bounds.low, bounds.high
    else:
        low = _number(ends[0], bounds.names)
        high = _number(ends[1], bounds.names) if len(ends) > 1 else low
    step = 1
    if steps:
        step = _number(steps[0], {})
        if len(ends) == 1:
            high = bounds.high  # `5/15` means from 5 on
    if low < bounds.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise ValueError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return set(range(low, high + 1, step))


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
