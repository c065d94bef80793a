"""HTTPRoute: which requests to a Gateway go to which Services, and what is changed on the way."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import re2

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, required
from miniplane.kinds.fields import entries, is_set, section, strings, text
from miniplane.kinds.gateway.schemas import GROUP, V1, definition
from miniplane.kinds.schemalimits import within
from miniplane.kinds.schematables import fill

_NAME = definition("v1", "HTTPRoute")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F", "#")
_BAD_ENDS = ("/..", "/.")
_FIELD = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "ExtensionRef": "extensionRef",
}
_REPEATABLE = ("RequestMirror", "ExtensionRef")


def defaults(route: Object) -> None:
    """Those of the schema."""
    fill(V1, V1[_NAME], route)


def validate(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema, and the rules that upstream has as expressions."""
    return [*within(V1, _NAME, new, "spec"), *_rule_errors(new)]


def _rule_errors(route: Object) -> Iterator[FieldError]:
    for index, rule in enumerate(entries(section(route, "spec"), "rules")):
        path = Path("spec") / "rules" @ index
        for place, match in enumerate(entries(rule, "matches")):
            yield from _match_errors(path / "matches" @ place, match)
        yield from _filter_errors(path, rule, entries(rule, "matches"))
        for place, backend in enumerate(entries(rule, "backendRefs")):
            here = path / "backendRefs" @ place
            if text(backend, "kind") in ("", "Service") and not text(backend, "group") and not is_set(backend, "port"):
                yield required(here / "port", "Must have port for Service reference")
            yield from _filter_errors(here, backend, entries(rule, "matches"))
        names = [text(item, "type") for item in entries(rule, "filters")]
        if "RequestRedirect" in names and entries(rule, "backendRefs"):
            message = "RequestRedirect filter must not be used together with backendRefs"
            yield forbidden(path / "backendRefs", message)


def _match_errors(path: Path, match: Object) -> Iterator[FieldError]:
    item = section(match, "path")
    kind, value = text(item, "type") or "PathPrefix", text(item, "value") or "/"
    here = path / "path" / "value"
    if kind == "RegularExpression":
        yield from _regex_errors(here, value)
    else:
        if not value.startswith("/"):
            kinds = "['Exact', 'PathPrefix']"
            message = f"value must be an absolute path and start with '/' when type is one of {kinds}"
            yield invalid(here, value, message)
        yield from (invalid(here, value, f"must not contain '{part}'") for part in _BAD_PARTS if part in value)
        yield from (invalid(here, value, f"must not end with '{end}'") for end in _BAD_ENDS if value.endswith(end))
    for field in ("headers", "queryParams"):
        for index, wanted in enumerate(entries(match, field)):
            if text(wanted, "type") == "RegularExpression":
                yield from _regex_errors(path / field @ index / "value", text(wanted, "value"))


def _regex_errors(path: Path, value: str) -> Iterator[FieldError]:
    try:
        re2.compile(value)
    except re2.error as error:
        yield invalid(path, value, f"must be a regular expression in RE2's syntax: {error}")


def _filter_errors(path: Path, holder: Object, matches: Sequence[Object]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, item in enumerate(entries(holder, "filters")):
        here, kind = path / "filters" @ index, text(item, "type")
        if kind in seen and kind not in _REPEATABLE:
            yield invalid(here / "type", kind, f"{kind} filter cannot be repeated")
        seen.add(kind)
        for name, field in _FIELD.items():
            if name == kind and not is_set(item, field):
                yield required(here / field, f"filter.{field} must be specified for {kind} filter.type")
            elif name != kind and is_set(item, field):
                yield forbidden(here / field, f"filter.{field} must be nil if the filter.type is not {name}")
        yield from _path_errors(here, section(section(item, _FIELD.get(kind, "")), "path"), matches)
    if {"RequestRedirect", "URLRewrite"} <= seen:
        yield forbidden(path / "filters", "May specify either RequestRedirect or URLRewrite, but not both")


def _path_errors(path: Path, change: Object, matches: Sequence[Object]) -> Iterator[FieldError]:
    if text(change, "type") != "ReplacePrefixMatch":
        return
    kinds = [text(section(match, "path"), "type") or "PathPrefix" for match in matches]
    if kinds != ["PathPrefix"]:
        message = "exactly one PathPrefix match must be specified when this path modifier is used"
        yield invalid(path / "path", "ReplacePrefixMatch", message)


def validate_status(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema."""
    return list(within(V1, _NAME, new, "status"))


def _hosts(route: Object, _now: datetime) -> str:
    hosts = strings(section(route, "spec"), "hostnames")
    return "[" + ",".join(f'"{host}"' for host in hosts) + "]" if hosts else ""


HTTP_ROUTE = Kind(
    group=GROUP,
    version="v1",
    kind="HTTPRoute",
    plural="httproutes",
    scope=Scope.NAMESPACED,
    categories=("gateway-api",),
    definition=_NAME,
    schemas=V1,
    columns=(NAME, Column("Hostnames", _hosts, description="The hosts that it is for."), AGE),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(counts_generation=True, validate=validate, validate_status=validate_status),
)
