"""What the four kinds of RBAC share: rules, subjects and references to roles.

Upstream: pkg/apis/rbac/validation and pkg/apis/rbac/v1/defaults.go.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Object
from miniplane.api.names import is_dns_subdomain, is_path_segment
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, not_supported, required
from miniplane.kinds.fields import (
    elements,
    entries,
    fill,
    named,
    named_required,
    open_section,
    section,
    shown,
    strings,
    text,
)

GROUP = "rbac.authorization.k8s.io"
ACCOUNT = "ServiceAccount"
SUBJECT_KINDS = (ACCOUNT, "User", "Group")


def rule_errors(obj: Object, *, namespaced: bool) -> Iterator[FieldError]:
    """The errors of a role's rules."""
    for index, rule in enumerate(entries(obj, "rules")):
        path = Path("rules") @ index
        if not strings(rule, "verbs"):
            yield required(path / "verbs", "verbs must contain at least one value")
        if urls := strings(rule, "nonResourceURLs"):
            where = path / "nonResourceURLs"
            if namespaced:
                yield invalid(where, shown(urls), "namespaced rules cannot apply to non-resource URLs")
            if any(strings(rule, key) for key in ("apiGroups", "resources", "resourceNames")):
                yield invalid(where, shown(urls), "rules cannot apply to both regular resources and non-resource URLs")
            continue
        if not strings(rule, "apiGroups"):
            yield required(path / "apiGroups", "resource rules must supply at least one api group")
        if not strings(rule, "resources"):
            yield required(path / "resources", "resource rules must supply at least one resource")


def binding_defaults(binding: Object) -> None:
    """The API group of the role, and of users and groups."""
    fill(open_section(binding, "roleRef"), apiGroup=GROUP)
    for subject in elements(binding, "subjects"):
        if isinstance(subject, dict) and text(subject, "kind") in ("User", "Group"):
            fill(subject, apiGroup=GROUP)


def binding_errors(new: Object, old: Object | None, roles: Collection[str]) -> Sequence[FieldError]:
    """The errors of a binding to one of the kinds `roles`; the reference never changes."""
    return list(_binding(new, old, roles))


def _binding(new: Object, old: Object | None, roles: Collection[str]) -> Iterator[FieldError]:
    path, reference = Path("roleRef"), section(new, "roleRef")
    if text(reference, "apiGroup") != GROUP:
        yield not_supported(path / "apiGroup", text(reference, "apiGroup"), (GROUP,))
    if text(reference, "kind") not in roles:
        yield not_supported(path / "kind", text(reference, "kind"), roles)
    yield from named_required(path / "name", text(reference, "name"), is_path_segment)
    for index, subject in enumerate(entries(new, "subjects")):
        yield from _subject(Path("subjects") @ index, subject, namespaced="Role" in roles)
    if old is not None and reference != section(old, "roleRef"):
        yield invalid(path, shown(reference), "cannot change roleRef")


def _subject(path: Path, subject: Object, *, namespaced: bool) -> Iterator[FieldError]:
    name, group = text(subject, "name"), text(subject, "apiGroup")
    if not name:
        yield required(path / "name")
    match text(subject, "kind"):
        case "ServiceAccount":
            if name:
                yield from named(path / "name", name, is_dns_subdomain)
            if group:
                yield not_supported(path / "apiGroup", group, ("",))
            if not namespaced and not text(subject, "namespace"):
                yield required(path / "namespace")
        case "User" | "Group":
            if group != GROUP:
                yield not_supported(path / "apiGroup", group, (GROUP,))
        case kind:
            yield not_supported(path / "kind", kind, SUBJECT_KINDS)


def _role_cell(binding: Object, _now: datetime) -> str:
    reference = section(binding, "roleRef")
    return f"{text(reference, 'kind')}/{text(reference, 'name')}"


def _subjects_column(name: str, kind: str) -> Column:
    def cell(binding: Object, _now: datetime) -> str:
        found = [subject for subject in entries(binding, "subjects") if text(subject, "kind") == kind]
        if kind != ACCOUNT:
            return ", ".join(text(subject, "name") for subject in found)
        return ", ".join(f"{text(subject, 'namespace')}/{text(subject, 'name')}" for subject in found)

    return Column(name, cell, description=f"The {name} of the binding's subjects.", priority=1)


BINDING_COLUMNS = (
    NAME,
    Column("Role", _role_cell, description="The role that is given, with its kind."),
    AGE,
    _subjects_column("Users", "User"),
    _subjects_column("Groups", "Group"),
    _subjects_column("ServiceAccounts", ACCOUNT),
)
"""How both kinds of bindings are printed."""
