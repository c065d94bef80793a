"""What a Job does: the rules and defaults of its spec, that CronJobs hold as a template."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError, Path, duplicate, invalid, not_supported, required, too_many
from miniplane.kinds.fields import (
    at_least,
    elements,
    entries,
    fill,
    is_set,
    number,
    one_of,
    optional,
    section,
    text,
)
from miniplane.kinds.podspec.defaults import default_pod_spec
from miniplane.kinds.podspec.spec import pod_template_errors

COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_INDEXED = "Indexed"
_MAX_PARALLEL_INDEXES = 100_000
_NEEDS_INDEXES = "requires indexed completion mode"
_MAX_INT32 = 2**31 - 1
_BACKOFF_LIMIT = 6
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MAX_RULES, _MAX_EXIT_CODES, _MAX_PATTERNS = 20, 255, 20


def default_job_spec(spec: Object) -> None:
    """One pod that must succeed once, with six tries."""
    if not is_set(spec, "completions") and not is_set(spec, "parallelism"):
        spec["completions"] = 1
    fill(
        spec,
        parallelism=1,
        backoffLimit=_MAX_INT32 if is_set(spec, "backoffLimitPerIndex") else _BACKOFF_LIMIT,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="Failed" if is_set(spec, "podFailurePolicy") else "TerminatingOrFailed",
    )
    default_template_of(spec)


def default_template_of(spec: Object) -> None:
    """The defaults of the pods; a template that is not there stays so."""
    if pod := section(section(spec, "template"), "spec"):
        default_pod_spec(pod)
    for rule in entries(section(spec, "podFailurePolicy"), "rules"):
        for pattern in entries(rule, "onPodConditions"):
            fill(pattern, status="True")


def job_spec_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a Job's spec, but for its selector."""
    for key in COUNTS:
        yield from at_least(path / key, optional(spec, key))
    yield from _completion_mode(path, spec)
    yield from one_of(
        path / "podReplacementPolicy",
        text(spec, "podReplacementPolicy"),
        ("Failed",) if is_set(spec, "podFailurePolicy") else ("Failed", "TerminatingOrFailed"),
        needed=False,
    )
    yield from pod_template_errors(path / "template", section(spec, "template"))
    yield from _restart_policy(path / "template" / "spec" / "restartPolicy", spec)
    yield from _failure_policy(path / "podFailurePolicy", spec)
    yield from _success_policy(path / "successPolicy", spec)


def _completion_mode(path: Path, spec: Object) -> Iterator[FieldError]:
    mode = text(spec, "completionMode")
    yield from one_of(path / "completionMode", mode, ("Indexed", "NonIndexed"), needed=False)
    if mode == _INDEXED:
        if not is_set(spec, "completions"):
            yield required(path / "completions", "when completion mode is Indexed")
        if number(spec, "parallelism") > _MAX_PARALLEL_INDEXES:
            words = f"must be less than or equal to {_MAX_PARALLEL_INDEXES} when completion mode is Indexed"
            yield invalid(path / "parallelism", number(spec, "parallelism"), words)
        completions = number(spec, "completions")
        if is_set(spec, "maxFailedIndexes") and number(spec, "maxFailedIndexes") > completions:
            words = "must be less than or equal to completions"
            yield invalid(path / "maxFailedIndexes", number(spec, "maxFailedIndexes"), words)
        return
    if is_set(spec, "backoffLimitPerIndex"):
        yield invalid(path / "backoffLimitPerIndex", number(spec, "backoffLimitPerIndex"), _NEEDS_INDEXES)
    if is_set(spec, "maxFailedIndexes"):
        yield invalid(path / "maxFailedIndexes", number(spec, "maxFailedIndexes"), _NEEDS_INDEXES)


def _restart_policy(path: str, spec: Object) -> Iterator[FieldError]:
    policy = text(section(section(spec, "template"), "spec"), "restartPolicy")
    if policy not in ("OnFailure", "Never"):
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif is_set(spec, "podFailurePolicy") and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _failure_policy(path: Path, spec: Object) -> Iterator[FieldError]:
    if not is_set(spec, "podFailurePolicy"):
        return
    rules = entries(section(spec, "podFailurePolicy"), "rules")
    if len(rules) > _MAX_RULES:
        yield too_many(path / "rules", len(rules), _MAX_RULES)
    names = {text(container, "name") for container in _containers(spec)}
    for index, rule in enumerate(rules):
        yield from _failure_rule(path / "rules" @ index, rule, names, per_index=is_set(spec, "backoffLimitPerIndex"))


def _containers(spec: Object) -> list[Object]:
    pod = section(section(spec, "template"), "spec")
    return [*entries(pod, "containers"), *entries(pod, "initContainers")]


def _failure_rule(path: Path, rule: Object, names: set[str], *, per_index: bool) -> Iterator[FieldError]:
    action = text(rule, "action")
    if action == "FailIndex" and not per_index:
        words = "requires the backoffLimitPerIndex to be set"
        yield invalid(path / "action", action, words)
    else:
        yield from one_of(path / "action", action, _ACTIONS)
    by_code, by_condition = is_set(rule, "onExitCodes"), bool(elements(rule, "onPodConditions"))
    if by_code and by_condition:
        yield invalid(path, "", "specifying both OnExitCodes and OnPodConditions is not supported")
    if not by_code and not by_condition:
        yield invalid(path, "", "specifying one of OnExitCodes and OnPodConditions is required")
    if by_code:
        yield from _exit_codes(path / "onExitCodes", section(rule, "onExitCodes"), names)
    patterns = entries(rule, "onPodConditions")
    if len(patterns) > _MAX_PATTERNS:
        yield too_many(path / "onPodConditions", len(patterns), _MAX_PATTERNS)
    for index, pattern in enumerate(patterns):
        here = path / "onPodConditions" @ index
        if not text(pattern, "type"):
            yield required(here / "type")
        yield from one_of(here / "status", text(pattern, "status"), ("False", "True", "Unknown"))


def _exit_codes(path: Path, codes: Object, names: set[str]) -> Iterator[FieldError]:
    operator, values = text(codes, "operator"), elements(codes, "values")
    yield from one_of(path / "operator", operator, ("In", "NotIn"))
    if (name := text(codes, "containerName")) and name not in names:
        yield invalid(
            path / "containerName", name, "must be one of the container or initContainer names in the pod template"
        )
    if not values:
        yield invalid(path / "values", "[]", "at least one value is required")
    elif len(values) > _MAX_EXIT_CODES:
        yield too_many(path / "values", len(values), _MAX_EXIT_CODES)
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            yield invalid(path / "values" @ index, value, "must not be 0 for the In operator")
        if value in values[:index]:
            yield duplicate(path / "values" @ index, value)


def _success_policy(path: Path, spec: Object) -> Iterator[FieldError]:
    if not is_set(spec, "successPolicy"):
        return
    if text(spec, "completionMode") != _INDEXED:
        yield invalid(path, "", _NEEDS_INDEXES)
        return
    rules = entries(section(spec, "successPolicy"), "rules")
    if not rules:
        yield required(path / "rules", "at least one rules must be specified when the successPolicy is specified")
    for index, rule in enumerate(rules):
        here = path / "rules" @ index
        if not is_set(rule, "succeededCount") and not is_set(rule, "succeededIndexes"):
            yield required(here, "at least one of succeededCount or succeededIndexes must be specified")
        if is_set(rule, "succeededCount"):
            yield from at_least(here / "succeededCount", optional(rule, "succeededCount"), 1)


def unsupported_in_template(path: Path, spec: Object) -> Iterator[FieldError]:
    """What a CronJob's template of Jobs may not have, since each Job gets it for itself."""
    if is_set(spec, "selector"):
        yield invalid(path / "selector", "", "`selector` will be auto-generated")
    if spec.get("manualSelector") is True:
        yield not_supported(path / "manualSelector", value=True, supported=("nil", "false"))
