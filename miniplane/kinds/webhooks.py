"""What kinds that take part in admission have in common: webhooks, and which requests are meant.

Counterpart upstream: pkg/apis/admissionregistration/validation.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from miniplane.api.kind import Column, Object
from miniplane.api.names import is_dns_label, is_dns_subdomain, is_qualified_name
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, invalid, not_supported, required
from miniplane.kinds.fields import (
    elements,
    entries,
    fill,
    is_set,
    named,
    named_required,
    number,
    one_of,
    open_section,
    optional,
    port_number,
    section,
    strings,
    text,
)
from miniplane.kinds.shared import selector_errors

_HTTPS = 443
_TIMEOUT_S, _LONGEST_S = 10, 30
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_CONDITIONS = 64
_REVIEW_VERSIONS = ("v1", "v1beta1")


def default_webhooks(configuration: Object) -> None:
    """Fail where the webhook does, after ten seconds; everything that matches the rules is sent."""
    for webhook in entries(configuration, "webhooks"):
        fill(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=_TIMEOUT_S)
        for key in ("namespaceSelector", "objectSelector"):
            open_section(webhook, key)
        for rule in entries(webhook, "rules"):
            fill(rule, scope="*")
        config = section(webhook, "clientConfig")
        if is_set(config, "service"):
            fill(section(config, "service"), port=_HTTPS)


def webhook_errors(configuration: Object, *, mutating: bool) -> Sequence[FieldError]:
    """The errors of all webhooks of a configuration."""
    webhooks, path = entries(configuration, "webhooks"), Path("webhooks")
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, webhook in enumerate(webhooks):
        here, name = path @ index, text(webhook, "name")
        errors += _webhook(here, webhook)
        if mutating:
            errors += one_of(
                here / "reinvocationPolicy", text(webhook, "reinvocationPolicy"), ("IfNeeded", "Never"), needed=False
            )
        if name and name in seen:
            errors.append(duplicate(here / "name", name))
        seen.add(name)
    return errors


def _webhook(path: Path, webhook: Object) -> Iterator[FieldError]:
    yield from _name(path / "name", text(webhook, "name"))
    for index, rule in enumerate(entries(webhook, "rules")):
        yield from rule_errors(path / "rules" @ index, rule)
    yield from one_of(path / "failurePolicy", text(webhook, "failurePolicy"), ("Fail", "Ignore"), needed=False)
    yield from one_of(path / "matchPolicy", text(webhook, "matchPolicy"), ("Equivalent", "Exact"), needed=False)
    effects = text(webhook, "sideEffects")
    if not is_set(webhook, "sideEffects"):
        yield required(path / "sideEffects", "must specify one of None, NoneOnDryRun")
    elif effects not in ("None", "NoneOnDryRun"):
        yield not_supported(path / "sideEffects", effects, ("None", "NoneOnDryRun"))
    timeout = optional(webhook, "timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= _LONGEST_S:
        words = f"the timeout value must be between 1 and {_LONGEST_S} seconds"
        yield invalid(path / "timeoutSeconds", timeout, words)
    for key in ("namespaceSelector", "objectSelector"):
        yield from selector_errors(path, webhook, key)
    yield from _client(path / "clientConfig", section(webhook, "clientConfig"))
    yield from _versions(path / "admissionReviewVersions", strings(webhook, "admissionReviewVersions"))
    yield from match_condition_errors(path / "matchConditions", webhook)


def _name(path: str, name: str) -> Iterator[FieldError]:
    yield from named_required(path, name, is_dns_subdomain)
    if name and not is_dns_subdomain(name) and name.count(".") < 2:  # noqa: PLR2004  a host in a domain
        yield invalid(path, name, "should be a domain with at least three segments separated by dots")


def rule_errors(path: Path, rule: Object) -> Iterator[FieldError]:
    """The errors of a rule that says which requests are meant."""
    for key in ("apiGroups", "apiVersions", "resources"):
        words = strings(rule, key)
        if not words:
            yield required(path / key)
        if "*" in words and len(words) > 1 and key != "resources":
            yield invalid(path / key, "*", f"if '*' is present, must not specify other {_PLURALS[key]}")
        if key != "apiGroups":
            for index, word in enumerate(words):
                if not word:
                    yield required(path / key @ index)
    yield from _operations(path / "operations", strings(rule, "operations"))
    if is_set(rule, "scope") and text(rule, "scope") not in _SCOPES:
        yield not_supported(path / "scope", text(rule, "scope"), _SCOPES)


def _operations(path: Path, operations: list[str]) -> Iterator[FieldError]:
    if not operations:
        yield required(path)
    if "*" in operations and len(operations) > 1:
        yield invalid(path, "*", "if '*' is present, must not specify other operations")
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            yield not_supported(path @ index, operation, _OPERATIONS)


_PLURALS = {"apiGroups": "API groups", "apiVersions": "API versions"}


def _client(path: Path, config: Object) -> Iterator[FieldError]:
    by_url, by_service = is_set(config, "url"), is_set(config, "service")
    if by_url is by_service:
        yield required(path, "exactly one of url or service is required")
    if by_url:
        yield from _url(path / "url", text(config, "url"))
    if by_service:
        service, here = section(config, "service"), path / "service"
        for key in ("name", "namespace"):
            if not text(service, key):
                yield required(here / key, f"service {key} is required")
        yield from port_number(here / "port", number(service, "port"))
        if (target := text(service, "path")) and not target.startswith("/"):
            yield invalid(here / "path", target, "must start with a '/'")
    if (bundle := text(config, "caBundle")) and not _is_pem(bundle):
        yield invalid(path / "caBundle", bundle, "unable to load root certificates: unable to parse bytes as PEM block")


def _is_pem(bundle: str) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(bundle)
    except (binascii.Error, ValueError):
        return False


def _url(path: str, url: str) -> Iterator[FieldError]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{form}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.netloc:
        yield invalid(path, parts.netloc, f"host must be specified{form}")
    if parts.username or parts.password:
        yield invalid(path, parts.username or "", "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _versions(path: Path, versions: list[str]) -> Iterator[FieldError]:
    if not versions:
        yield required(path, f"must specify one of {', '.join(_REVIEW_VERSIONS)}")
        return
    for index, version in enumerate(versions):
        yield from named(path @ index, version, is_dns_label)
        if version in versions[:index]:
            yield invalid(path @ index, version, "duplicate version")
    if not set(versions) & set(_REVIEW_VERSIONS):
        words = f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"
        yield invalid(path, "[" + " ".join(versions) + "]", words)


def match_condition_errors(path: Path, holder: Object) -> Iterator[FieldError]:
    """The errors of `matchConditions`: named expressions, each name once."""
    conditions = entries(holder, "matchConditions")
    if len(conditions) > _CONDITIONS:
        yield invalid(path, len(elements(holder, "matchConditions")), f"must have at most {_CONDITIONS} items")
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        here, name = path @ index, text(condition, "name")
        yield from named_required(here / "name", name, is_qualified_name)
        if not text(condition, "expression").strip():
            yield required(here / "expression")
        if name and name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)


def default_match(match: Object) -> None:
    """Everything that matches the rules, wherever it is."""
    fill(match, matchPolicy="Equivalent")
    for key in ("namespaceSelector", "objectSelector"):
        open_section(match, key)
    for key in ("resourceRules", "excludeResourceRules"):
        for rule in entries(match, key):
            fill(rule, scope="*")


def match_errors(path: Path, match: Object) -> Iterator[FieldError]:
    """The errors of what says which requests are meant, of a policy or a binding."""
    yield from one_of(path / "matchPolicy", text(match, "matchPolicy"), ("Equivalent", "Exact"), needed=False)
    for key in ("namespaceSelector", "objectSelector"):
        yield from selector_errors(path, match, key)
    for key in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(entries(match, key)):
            yield from rule_errors(path / key @ index, rule)


def _count(configuration: Object, _now: datetime) -> int:
    return len(elements(configuration, "webhooks"))


WEBHOOK_COLUMNS = (NAME, Column("Webhooks", _count, type="integer", description="How many webhooks it has."), AGE)
"""The columns of both kinds."""
