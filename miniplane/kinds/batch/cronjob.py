"""CronJob: makes a Job at the times of a schedule.

Upstream: batch/v1; concept page "CronJob".
"""

import zoneinfo
from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import cron, meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME, age
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.fields import (
    at_least,
    elements,
    entries,
    fill,
    flag,
    is_set,
    one_of,
    open_section,
    optional,
    section,
    text,
)
from miniplane.kinds.jobspec import default_template_of, job_spec_errors, unsupported_in_template
from miniplane.kinds.shared import NONE, parse_moment, parse_selector

_PATH = Path("spec")
_POLICIES = ("Allow", "Forbid", "Replace")
_NAME_LENGTH = 52
"""A Job's name is the CronJob's and eleven characters, and pods' labels hold it."""
_ZONE_RULE = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"


def defaults(cron_job: Object) -> None:
    """Jobs may run side by side; three that succeeded and one that failed are kept."""
    spec = open_section(cron_job, "spec")
    fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    default_template_of(section(section(spec, "jobTemplate"), "spec"))


def validate(cron_job: Object, old: Object | None) -> Sequence[FieldError]:
    """The schedule and its time zone are understood, and the Jobs would be taken."""
    errors = list(_errors(section(cron_job, "spec")))
    name = meta.name(cron_job)
    if old is None and len(name) > _NAME_LENGTH:
        errors.append(invalid("metadata.name", name, f"must be no more than {_NAME_LENGTH} characters"))
    return errors


def _errors(spec: Object) -> Iterator[FieldError]:
    yield from _schedule(_PATH / "schedule", spec)
    yield from at_least(_PATH / "startingDeadlineSeconds", optional(spec, "startingDeadlineSeconds"))
    yield from one_of(_PATH / "concurrencyPolicy", text(spec, "concurrencyPolicy"), _POLICIES)
    path, job = _PATH / "jobTemplate" / "spec", section(section(spec, "jobTemplate"), "spec")
    yield from unsupported_in_template(path, job)
    yield from job_spec_errors(path, job)
    for key in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from at_least(_PATH / key, optional(spec, key))


def _schedule(path: str, spec: Object) -> Iterator[FieldError]:
    schedule = text(spec, "schedule")
    if not schedule:
        yield required(path)
    elif "TZ" in schedule:
        yield invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    else:
        try:
            cron.parse(schedule)
        except ValueError as error:
            yield invalid(path, schedule, str(error))
    if is_set(spec, "timeZone"):
        yield from _time_zone(_PATH / "timeZone", text(spec, "timeZone"))


def _time_zone(path: str, zone: str) -> Iterator[FieldError]:
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        yield invalid(path, zone, _ZONE_RULE)
    elif not _is_known(zone):
        yield invalid(path, zone, f"unknown time zone {zone}")


def _is_known(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _job_pod(cron_job: Object) -> Object:
    job = section(section(section(cron_job, "spec"), "jobTemplate"), "spec")
    return section(section(job, "template"), "spec")


def _of_containers(key: str) -> Column:
    name = {"name": "Containers", "image": "Images"}[key]

    def cell(cron_job: Object, _now: datetime) -> str:
        return ",".join(text(container, key) for container in entries(_job_pod(cron_job), "containers"))

    return Column(name, cell, priority=1, description=f"The {key}s of the template's containers.")


def _selector(cron_job: Object, _now: datetime) -> str:
    job = section(section(section(cron_job, "spec"), "jobTemplate"), "spec")
    return str(parse_selector(job, "selector") or "") or NONE


def _suspended(cron_job: Object, _now: datetime) -> str:
    spec = section(cron_job, "spec")
    return str(flag(spec, "suspend")) if is_set(spec, "suspend") else "<unset>"


def _last(cron_job: Object, now: datetime) -> str:
    moment = parse_moment(text(section(cron_job, "status"), "lastScheduleTime"))
    return NONE if moment is None else age(moment, now)


CRON_JOB = Kind(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    scope=Scope.NAMESPACED,
    short_names=("cj",),
    categories=("all",),
    definition="io.k8s.api.batch.v1.CronJob",
    columns=(
        NAME,
        Column("Schedule", ".spec.schedule", description="When a Job is made."),
        Column("Timezone", ".spec.timeZone", description="The time zone of the schedule."),
        Column("Suspend", _suspended, type="boolean", description="Whether it rests."),
        Column(
            "Active",
            lambda obj, _now: len(elements(section(obj, "status"), "active")),
            type="integer",
            description="Jobs that run.",
        ),
        Column("Last Schedule", _last, description="The time since a Job was made last."),
        AGE,
        _of_containers("name"),
        _of_containers("image"),
        Column("Selector", _selector, priority=1, description="The labels that select the pods."),
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(validate=validate, initial_status={}, counts_generation=True),
)
