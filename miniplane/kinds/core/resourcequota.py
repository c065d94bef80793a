"""ResourceQuota: how much the objects of a namespace may take together.

Upstream: core/v1; concept page "Resource Quotas".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_qualified_name
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.fields import elements, entries, named, one_of, section, shown, strings, text
from miniplane.kinds.podspec.resources import amount_errors
from miniplane.kinds.shared import Cell

_PATH = Path("spec")
_OBJECTS = frozenset(
    (
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    )
)
_COMPUTE = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory", "ephemeral-storage")
)
STANDARD = _OBJECTS | _COMPUTE | {"requests.storage"}
"""The resources that have names of their own; others are qualified, or `count/<resource>.<group>`."""
SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_EXISTS_ONLY = frozenset(("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"))
_SCOPE_RULE = (
    "operator must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def validate(quota: Object, old: Object | None) -> Sequence[FieldError]:
    """Known resources, amounts from 0 on, scopes that go together; scopes never change."""
    spec = section(quota, "spec")
    errors = [*_amounts(_PATH / "hard", section(spec, "hard")), *_scopes(spec), *_selector(spec)]
    if old is not None and sorted(strings(spec, "scopes")) != sorted(strings(section(old, "spec"), "scopes")):
        errors.append(invalid(_PATH / "scopes", shown(strings(spec, "scopes")), "field is immutable"))
    return errors


def validate_status(quota: Object, _old: Object | None) -> Sequence[FieldError]:
    """Amounts are such."""
    status, path = section(quota, "status"), Path("status")
    return [error for key in ("hard", "used") for error in _amounts(path / key, section(status, key))]


def _amounts(path: Path, amounts: Object) -> Iterator[FieldError]:
    for name in amounts:
        yield from named(path @ name, name, is_qualified_name)
        if "/" not in name and name not in STANDARD and not name.startswith(("hugepages-", "requests.hugepages-")):
            yield invalid(path @ name, name, "must be a standard resource for quota")
    yield from amount_errors(path, amounts)


def _scopes(spec: Object) -> Iterator[FieldError]:
    scopes, hard = strings(spec, "scopes"), section(spec, "hard")
    path = _PATH / "scopes"
    for scope in scopes:
        if scope not in SCOPES:
            yield invalid(path, shown(scopes), "unsupported scope")
        yield from _applies(path, scopes, scope, hard)
    if any(pair <= set(scopes) for pair in _OPPOSITES):
        yield invalid(path, shown(scopes), "conflicting scopes")


def _applies(path: str, scopes: list[str], scope: str, hard: Object) -> Iterator[FieldError]:
    """Scopes are about pods: a quota for anything else can't have one."""
    pods = {"pods", *_COMPUTE}
    if scope == "BestEffort":
        pods = {"pods"}
    if any(name in STANDARD and name not in pods for name in hard):
        yield invalid(path, shown(scopes), "unsupported scope applied to resource")


def _selector(spec: Object) -> Iterator[FieldError]:
    path = _PATH / "scopeSelector" / "matchExpressions"
    found: list[str] = []
    for index, item in enumerate(entries(section(spec, "scopeSelector"), "matchExpressions")):
        here, scope, operator = path @ index, text(item, "scopeName"), text(item, "operator")
        values = elements(item, "values")
        if not scope:
            yield required(here / "scopeName", "must be specified")
        elif scope not in SCOPES:
            yield invalid(here / "scopeName", scope, "unsupported scope")
        if scope in _EXISTS_ONLY and operator != "Exists":
            yield invalid(here / "operator", operator, _SCOPE_RULE)
        if operator in ("In", "NotIn") and not values:
            yield required(
                here / "values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            )
        elif operator in ("Exists", "DoesNotExist") and values:
            yield invalid(
                here / "values",
                shown(values),
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            )
        yield from one_of(here / "operator", operator, _OPERATORS)
        found.append(scope)
    if any(pair <= set(found) for pair in _OPPOSITES):
        yield invalid(path, shown(found), "conflicting scopes")


def _used(*, limits: bool) -> Cell:
    def cell(quota: Object, _now: datetime) -> str:
        status = section(quota, "status")
        hard, used = section(status, "hard"), section(status, "used")
        names = sorted(name for name in hard if name.startswith("limits") is limits)
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return cell


RESOURCE_QUOTA = Kind(
    group="",
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    scope=Scope.NAMESPACED,
    short_names=("quota",),
    definition="io.k8s.api.core.v1.ResourceQuota",
    columns=(
        NAME,
        Column("Request", _used(limits=False), description="What is used of what may be asked for."),
        Column("Limit", _used(limits=True), description="What is used of what limits may add up to."),
        AGE,
    ),
    subresources=(STATUS,),
    strategy=Strategy(validate=validate, validate_status=validate_status, initial_status={}, returns_deleted=True),
)
