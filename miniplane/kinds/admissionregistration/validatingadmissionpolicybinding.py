"""ValidatingAdmissionPolicyBinding: puts a ValidatingAdmissionPolicy in force, with its parameters.

Upstream: admissionregistration.k8s.io/v1; page "Validating Admission Policy".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, not_supported, required
from miniplane.kinds.fields import is_set, named_required, section, strings, text
from miniplane.kinds.shared import selector_errors
from miniplane.kinds.webhooks import default_match, match_errors

_PATH = Path("spec")
_ACTIONS = ("Audit", "Deny", "Warn")
_TWICE = (
    "must not contain both Deny and Warn "
    "(repeating the same validation failure information in the API response and headers serves no purpose)"
)


def defaults(binding: Object) -> None:
    """Those of what it matches."""
    spec = section(binding, "spec")
    if is_set(spec, "matchResources"):
        default_match(section(spec, "matchResources"))


def validate(binding: Object, _old: Object | None) -> Sequence[FieldError]:
    """The policy is named, the parameters are either named or selected, and something is done."""
    return list(_errors(section(binding, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    yield from named_required(_PATH / "policyName", text(spec, "policyName"), is_dns_subdomain)
    if is_set(spec, "paramRef"):
        yield from _params(_PATH / "paramRef", section(spec, "paramRef"))
    if is_set(spec, "matchResources"):
        yield from match_errors(_PATH / "matchResources", section(spec, "matchResources"))
    actions, path = strings(spec, "validationActions"), _PATH / "validationActions"
    if not actions:
        yield required(path)
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            yield not_supported(path @ index, action, _ACTIONS)
        if action in actions[:index]:
            yield duplicate(path @ index, action)
    if {"Deny", "Warn"} <= set(actions):
        yield forbidden(path, _TWICE)


def _params(path: Path, ref: Object) -> Iterator[FieldError]:
    by_name, by_label = bool(text(ref, "name")), is_set(ref, "selector")
    if by_name and by_label:
        yield forbidden(path / "name", "name and selector are mutually exclusive")
    elif not by_name and not by_label:
        yield required(path, "one of name or selector must be specified")
    yield from selector_errors(path, ref, "selector")
    action = text(ref, "parameterNotFoundAction")
    if not action:
        yield required(path / "parameterNotFoundAction")
    elif action not in ("Allow", "Deny"):
        yield not_supported(path / "parameterNotFoundAction", action, ("Allow", "Deny"))


def _param_ref(binding: Object, _now: datetime) -> str:
    spec = section(binding, "spec")
    if not is_set(spec, "paramRef"):
        return "<unset>"
    ref = section(spec, "paramRef")
    namespace, name = text(ref, "namespace"), text(ref, "name") or "*"
    return f"{namespace}/{name}" if namespace else name


VALIDATING_ADMISSION_POLICY_BINDING = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    scope=Scope.CLUSTER,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    columns=(
        NAME,
        Column("PolicyName", ".spec.policyName", description="The policy."),
        Column("ParamRef", _param_ref, description="Its parameters."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(validate=validate, counts_generation=True),
)
