"""ValidatingAdmissionPolicy: expressions that say which requests may pass.

Upstream: admissionregistration.k8s.io/v1; page "Validating Admission Policy". That the expressions can be understood is
found out by who evaluates them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_qualified_name
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, invalid, required
from miniplane.kinds.fields import (
    elements,
    entries,
    fill,
    is_set,
    named_required,
    one_of,
    open_section,
    section,
    text,
)
from miniplane.kinds.webhooks import default_match, match_condition_errors, match_errors

_PATH = Path("spec")
_REASONS = ("Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge")


def defaults(policy: Object) -> None:
    """What can't be evaluated fails; resource rules hold for equivalent requests, too."""
    spec = open_section(policy, "spec")
    fill(spec, failurePolicy="Fail")
    if is_set(spec, "matchConstraints"):
        default_match(section(spec, "matchConstraints"))


def validate(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """There are rules and something to check; names and reasons are right."""
    return list(_errors(section(policy, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    yield from one_of(_PATH / "failurePolicy", text(spec, "failurePolicy"), ("Fail", "Ignore"))
    if is_set(spec, "paramKind"):
        for key in ("apiVersion", "kind"):
            if not text(section(spec, "paramKind"), key):
                yield required(_PATH / "paramKind" / key)
    path = _PATH / "matchConstraints"
    if not is_set(spec, "matchConstraints"):
        yield required(path)
    else:
        yield from match_errors(path, section(spec, "matchConstraints"))
        if not elements(section(spec, "matchConstraints"), "resourceRules"):
            yield required(path / "resourceRules")
    yield from match_condition_errors(_PATH / "matchConditions", spec)
    yield from _variables(spec)
    if not elements(spec, "validations") and not elements(spec, "auditAnnotations"):
        yield required(_PATH / "validations", "validations or auditAnnotations must contain at least one item")
        yield required(_PATH / "auditAnnotations", "validations or auditAnnotations must contain at least one item")
    for index, validation in enumerate(entries(spec, "validations")):
        yield from _validation(_PATH / "validations" @ index, validation)
    for index, note in enumerate(entries(spec, "auditAnnotations")):
        here = _PATH / "auditAnnotations" @ index
        yield from named_required(here / "key", text(note, "key"), is_qualified_name)
        if not text(note, "valueExpression").strip():
            yield required(here / "valueExpression", "valueExpression is not specified")


def _variables(spec: Object) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, variable in enumerate(entries(spec, "variables")):
        here, name = _PATH / "variables" @ index, text(variable, "name")
        if not name:
            yield required(here / "name", "name is not specified")
        elif not name.isidentifier():
            yield invalid(here / "name", name, "name is not a valid CEL identifier")
        elif name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
        if not text(variable, "expression").strip():
            yield required(here / "expression", "expression is not specified")


def _validation(path: Path, validation: Object) -> Iterator[FieldError]:
    if not text(validation, "expression").strip():
        yield required(path / "expression", "expression is not specified")
    if "\n" in text(validation, "message").strip():
        yield invalid(path / "message", text(validation, "message"), "message must not contain line breaks")
    yield from one_of(path / "reason", text(validation, "reason"), _REASONS, needed=False)


def _param_kind(policy: Object, _now: datetime) -> str:
    param = section(section(policy, "spec"), "paramKind")
    return f"{text(param, 'apiVersion')}/{text(param, 'kind')}" if param else "<unset>"


VALIDATING_ADMISSION_POLICY = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    scope=Scope.CLUSTER,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    columns=(
        NAME,
        Column(
            "Validations",
            lambda obj, _now: len(elements(section(obj, "spec"), "validations")),
            type="integer",
            description="How many expressions it has.",
        ),
        Column("ParamKind", _param_kind, description="The kind of its parameters."),
        AGE,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(validate=validate, initial_status={}, counts_generation=True),
)
