"""Job: pods that run until enough of them have succeeded.

Upstream: batch/v1; concept page "Jobs".
"""

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import AGE, NAME, human_duration
from miniplane.api.validation import FieldError, Path, invalid, required, too_long
from miniplane.kinds.fields import (
    at_least,
    flag,
    is_set,
    named,
    number,
    open_section,
    optional,
    section,
    shown,
    string_map,
    text,
    unchanged,
)
from miniplane.kinds.jobspec import default_job_spec, job_spec_errors
from miniplane.kinds.podspec.spec import template_unmatched
from miniplane.kinds.podspec.template import template_warnings
from miniplane.kinds.shared import WORKLOAD_COLUMNS, clean_selector, parse_moment, selector_errors

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
"""The label by which a Job finds its pods."""
JOB_NAME = "batch.kubernetes.io/job-name"
_LEGACY_UID, _LEGACY_NAME = "controller-uid", "job-name"
_PATH = Path("spec")
_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_SCHEDULING = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
"""What may change in the template of a suspended Job that has not started."""
_MANAGER_LENGTH = 63
_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)
"""Conditions and the words for them in a table, the first that holds; the empty one is a deletion."""


def defaults(job: Object) -> None:
    """One pod that must succeed once; labels as those of the pods."""
    spec = open_section(job, "spec")
    default_job_spec(spec)
    labels = string_map(section(section(spec, "template"), "metadata"), "labels")
    metadata = open_section(job, "metadata")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def prepare(job: Object, old: Object | None) -> None:
    """A new Job gets a selector of its own, unless it says that it brings one."""
    spec = section(job, "spec")
    if old is None and not flag(spec, "manualSelector"):
        _generate_selector(job, spec)


def _generate_selector(job: Object, spec: Object) -> None:
    """Labels that nobody else has; a Job that has its labels from its pods (see `defaults`) has these, too."""
    uid, name = meta.uid(job), meta.name(job)
    labels = open_section(open_section(open_section(spec, "template"), "metadata"), "labels")
    is_alike = dict(meta.labels(job)) == labels
    for key, value in ((_LEGACY_UID, uid), (_LEGACY_NAME, name), (CONTROLLER_UID, uid), (JOB_NAME, name)):
        labels.setdefault(key, value)
    open_section(open_section(spec, "selector"), "matchLabels").setdefault(CONTROLLER_UID, uid)
    if is_alike:
        open_section(job, "metadata")["labels"] = dict(labels)


def validate(job: Object, old: Object | None) -> Sequence[FieldError]:
    """The spec is right; the selector is the Job's own; and hardly anything changes later."""
    spec = section(job, "spec")
    if old is None:
        return [*_selector(job, spec), *_spec(spec)]
    return [*_spec(spec), *_update(job, old)]


def _spec(spec: Object) -> Iterator[FieldError]:
    if is_set(spec, "selector"):
        yield from selector_errors(_PATH, spec, "selector")
    else:
        yield required(_PATH / "selector")
    yield from template_unmatched(_PATH / "template", spec)
    yield from job_spec_errors(_PATH, spec)
    if is_set(spec, "managedBy"):
        manager, path = text(spec, "managedBy"), _PATH / "managedBy"
        domain, slash, rest = manager.partition("/")
        if not slash or not rest:
            yield invalid(path, manager, 'must be a domain-prefixed path (such as "acme.io/foo")')
        else:
            yield from named(path, domain, is_dns_subdomain)
        if len(manager) > _MANAGER_LENGTH:
            yield too_long(path, _MANAGER_LENGTH)


def _selector(job: Object, spec: Object) -> Iterator[FieldError]:
    """The labels by which a Job finds its pods are its own: upstream's ValidateGeneratedSelector."""
    if flag(spec, "manualSelector"):
        return
    labels = string_map(section(section(spec, "template"), "metadata"), "labels")
    path = _PATH / "template" / "metadata" / "labels"
    for key, value in (
        (_LEGACY_UID, meta.uid(job)),
        (_LEGACY_NAME, meta.name(job)),
        (CONTROLLER_UID, meta.uid(job)),
        (JOB_NAME, meta.name(job)),
    ):
        if labels.get(key, value) != value:
            yield invalid(path, shown(labels), f"must be '{value}'")
    selector = clean_selector(spec, "selector") or {}
    if selector.get("matchLabels") != {CONTROLLER_UID: meta.uid(job)} or selector.get("matchExpressions"):
        yield invalid(_PATH / "selector", shown(spec.get("selector")), "`selector` not auto-generated")


def _update(job: Object, old: Object) -> Iterator[FieldError]:
    new, before = section(job, "spec"), section(old, "spec")
    yield from _completions(new, before)
    yield from unchanged(_PATH / "selector", clean_selector(new, "selector"), clean_selector(before, "selector"))
    yield from _template(job, old)
    for key in _FIXED:
        yield from unchanged(_PATH / key, new.get(key), before.get(key))


def _completions(new: Object, old: Object) -> Iterator[FieldError]:
    """An indexed Job may grow and shrink, if as many pods run at once as must succeed."""
    path, count, before = _PATH / "completions", optional(new, "completions"), optional(old, "completions")
    if count == before:
        return
    if text(new, "completionMode") != "Indexed" or count is None or before is None:
        yield from unchanged(path, count, before)
    elif count != optional(new, "parallelism"):
        words = f"can only be modified in tandem with {_PATH / 'parallelism'}"
        yield invalid(path, count, words)


def _template(job: Object, old: Object) -> Iterator[FieldError]:
    new, before = section(section(job, "spec"), "template"), section(section(old, "spec"), "template")
    if new == before:
        return
    suspended = flag(section(old, "spec"), "suspend") and not is_set(section(old, "status"), "startTime")
    if suspended:
        new, before = _without_scheduling(new), _without_scheduling(before)
    if new != before:
        yield invalid(_PATH / "template", shown(section(section(job, "spec"), "template")), "field is immutable")


def _without_scheduling(template: Object) -> Object:
    result = copy.deepcopy(template)
    for key in ("labels", "annotations"):
        section(result, "metadata").pop(key, None)
    for key in _SCHEDULING:
        section(result, "spec").pop(key, None)
    return result


def validate_status(job: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative."""
    status, path = section(job, "status"), Path("status")
    keys = ("active", "succeeded", "failed", "ready", "terminating")
    return [error for key in keys for error in at_least(path / key, optional(status, key))]


def _status(job: Object, _now: datetime) -> str:
    for condition, word in _STATES:
        if meta.is_condition_true(job, condition) if condition else meta.is_deleted(job):
            return word
    return "Running"


def _completed(job: Object, _now: datetime) -> str:
    spec, succeeded = section(job, "spec"), number(section(job, "status"), "succeeded")
    if is_set(spec, "completions"):
        return f"{succeeded}/{number(spec, 'completions')}"
    parallel = number(spec, "parallelism")
    return f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"


def _duration(job: Object, now: datetime) -> str:
    status = section(job, "status")
    start = parse_moment(text(status, "startTime"))
    if start is None:
        return ""
    end = parse_moment(text(status, "completionTime")) or now
    return human_duration((end - start).total_seconds())


JOB = Kind(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    scope=Scope.NAMESPACED,
    categories=("all",),
    fields={"status.successful": "status.succeeded"},
    definition="io.k8s.api.batch.v1.Job",
    columns=(
        NAME,
        Column("Status", _status, description="How it stands."),
        Column("Completions", _completed, description="Pods that have succeeded of those that must."),
        Column("Duration", _duration, description="How long it took, or takes."),
        AGE,
        *WORKLOAD_COLUMNS,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(
        prepare=prepare,
        validate=validate,
        validate_status=validate_status,
        warnings=template_warnings,
        initial_status={},
        counts_generation=True,
    ),
)
