"""The rules for names, labels and the rest of ObjectMeta, in upstream's words.

Each `is_…` returns what is wrong with a text, nothing where it is right. With `prefix=True` the text is judged as a
`generateName`: a trailing dash is taken for a letter. Counterpart upstream: k8s.io/apimachinery, pkg/util/validation
and pkg/api/validation.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from miniplane.api.kind import Kind, Object
from miniplane.api.meta import annotations, finalizers, labels, metadata, owner_references
from miniplane.api.validation import FieldError, Path, forbidden, immutable, invalid, required, too_long

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
PORT_NAME_LENGTH = 15
ANNOTATIONS_BYTES = 256 * 1024
GENERATED_PREFIX_LENGTH = 58
"""A generated name is at most a label long, five characters of it chance."""

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_CONFIG_KEY_RULE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)


def _max_length(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _regex_error(rule: str, regex: str, *examples: str) -> str:
    """A rule with examples and its expression; the spaces are upstream's."""
    shown = "', ".join(f"{' or ' if index else ''}'{example}" for index, example in enumerate(examples))
    return f"{rule} (e.g. {shown}', regex used for validation is '{regex}')"


def _matches(regex: str, text: str) -> bool:
    if len(text) > SUBDOMAIN_LENGTH:
        return re.fullmatch(regex, text, re.ASCII) is not None
    return _matches_short(regex, text)


@lru_cache(maxsize=4096)
def _matches_short(regex: str, text: str) -> bool:
    """Remembered, for the same few names come over and over again."""
    return re.fullmatch(regex, text, re.ASCII) is not None


def _unmask(text: str, prefix: bool) -> str:  # noqa: FBT001  private
    return text[:-2] + "a" if prefix and len(text) > 1 and text.endswith("-") else text


def is_dns_label(text: str, *, prefix: bool = False) -> list[str]:
    """RFC 1123 label: namespaces, container names."""
    text = _unmask(text, prefix)
    errors = [_max_length(LABEL_LENGTH)] if len(text.encode()) > LABEL_LENGTH else []
    if not _matches(_LABEL, text):
        if _matches(_SUBDOMAIN, text):
            errors.append("must not contain dots")
        else:
            errors.append(_regex_error(_LABEL_RULE, _LABEL, "my-name", "123-abc"))
    return errors


def is_dns_subdomain(text: str, *, prefix: bool = False) -> list[str]:
    """RFC 1123 subdomain: most objects' names."""
    text = _unmask(text, prefix)
    errors = [_max_length(SUBDOMAIN_LENGTH)] if len(text.encode()) > SUBDOMAIN_LENGTH else []
    if not _matches(_SUBDOMAIN, text):
        errors.append(_regex_error(_SUBDOMAIN_RULE, _SUBDOMAIN, "example.com"))
    return errors


def is_dns_label_1035(text: str, *, prefix: bool = False) -> list[str]:
    """RFC 1035 label, which can't start with a digit: Services."""
    text = _unmask(text, prefix)
    errors = [_max_length(LABEL_LENGTH)] if len(text.encode()) > LABEL_LENGTH else []
    if not _matches(_LABEL_1035, text):
        errors.append(_regex_error(_LABEL_1035_RULE, _LABEL_1035, "my-name", "abc-123"))
    return errors


def is_wildcard_dns_subdomain(text: str) -> list[str]:
    """`*.` and a subdomain: hosts of an Ingress."""
    errors = [_max_length(SUBDOMAIN_LENGTH)] if len(text.encode()) > SUBDOMAIN_LENGTH else []
    if not _matches(_WILDCARD, text):
        errors.append(_regex_error(_WILDCARD_RULE, _WILDCARD, "*.example.com"))
    return errors


def is_path_segment(text: str, *, prefix: bool = False) -> list[str]:
    """What can stand between two slashes: roles, and whatever has no stricter rule."""
    if not prefix and text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{mark}'" for mark in "/%" if mark in text]


def is_ip(text: str, *, prefix: bool = False) -> list[str]:
    """An IP address in canonical form: IPAddress objects."""
    if errors := is_ip_address(text):
        return errors
    canonical = str(ipaddress.ip_address(text))
    return [] if text == canonical else [f'must be in canonical form ("{canonical}")']


def is_ip_address(text: str) -> list[str]:
    """An IP address without zone; IPv4 octets without leading zeros."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def is_cidr(text: str) -> list[str]:
    """An address block; bits beyond the prefix may be set, as upstream tolerates."""
    try:
        ipaddress.ip_interface(text if "/" in text else "")
        valid = text.partition("/")[2].isdecimal()
    except ValueError:
        valid = False
    return [] if valid else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def is_qualified_name(text: str) -> list[str]:
    """`name` or `prefix.example/name`: label and annotation keys, finalizers, taints."""
    parts = text.split("/")
    if len(parts) > 2:  # noqa: PLR2004  prefix and name
        return [
            "a qualified name "
            + _regex_error(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    errors = []
    if len(parts) > 1:
        if parts[0]:
            errors += [f"prefix part {message}" for message in is_dns_subdomain(parts[0])]
        else:
            errors.append("prefix part must be non-empty")
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > LABEL_LENGTH:
        errors.append("name part " + _max_length(LABEL_LENGTH))
    if not _matches(_QUALIFIED, name):
        errors.append("name part " + _regex_error(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return errors


def is_label_value(text: str) -> list[str]:
    """The value of a label; may be empty."""
    errors = [_max_length(LABEL_LENGTH)] if len(text.encode()) > LABEL_LENGTH else []
    if not _matches(_LABEL_VALUE, text):
        errors.append(_regex_error(_LABEL_VALUE_RULE, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def is_port_name(text: str) -> list[str]:
    """An IANA service name, as container ports and target ports use it."""
    errors = []
    if len(text.encode()) > PORT_NAME_LENGTH:
        errors.append(_max_length(PORT_NAME_LENGTH))
    if not _matches("[-a-z0-9]+", text):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def is_port_number(port: int) -> list[str]:
    """A TCP, UDP or SCTP port."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]  # noqa: PLR2004  16 bits


def is_config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret: it becomes a file name."""
    errors = [_max_length(SUBDOMAIN_LENGTH)] if len(text.encode()) > SUBDOMAIN_LENGTH else []
    if not _matches(_CONFIG_KEY, text):
        errors.append(_regex_error(_CONFIG_KEY_RULE, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if text in (".", ".."):
        errors.append(f"must not be '{text}'")
    elif text.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def is_env_name(text: str) -> list[str]:
    """The name of an environment variable, by the relaxed rule of v1.32 and later."""
    if not text:
        return ["environment variable name must be non-empty"]
    if all(" " <= mark <= "~" and mark != "=" for mark in text):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


RULES: Mapping[str, Callable[..., list[str]]] = {
    "subdomain": is_dns_subdomain,
    "label": is_dns_label,
    "label_1035": is_dns_label_1035,
    "path_segment": is_path_segment,
    "ip": is_ip,
}
"""The rules that `Strategy.name_is` names."""


def generate(prefix: str, suffix: str) -> str:
    """The name made of a `generateName` and a random suffix; the prefix gives way where it is too long."""
    return prefix[:GENERATED_PREFIX_LENGTH] + suffix


def validate_labels(items: Mapping[str, str], path: str) -> list[FieldError]:
    """Keys and values of labels; also of `matchLabels` and node selectors."""
    errors = []
    for key, value in items.items():
        errors += [invalid(path, key, message) for message in is_qualified_name(key)]
        errors += [invalid(path, value, message) for message in is_label_value(value)]
    return errors


def validate_annotations(items: Mapping[str, str], path: str) -> list[FieldError]:
    """Keys of annotations, and the size of them all."""
    errors = [invalid(path, key, message) for key in items for message in is_qualified_name(key.lower())]
    if sum(len(key.encode()) + len(value.encode()) for key, value in items.items()) > ANNOTATIONS_BYTES:
        errors.append(too_long(path, ANNOTATIONS_BYTES))
    return errors


def _validate_owner(owner: Object, path: Path) -> list[FieldError]:
    errors = []
    version = owner.get("apiVersion") or ""
    if not version.rpartition("/")[2]:
        errors.append(invalid(path / "apiVersion", version, "version must not be empty"))
    errors += [invalid(path / part, "", "must not be empty") for part in ("kind", "name", "uid") if not owner.get(part)]
    if version == "v1" and owner.get("kind") == "Event":
        errors.append(invalid(path, f"{version}, Kind=Event", "/v1, Kind=Event is disallowed from being an owner"))
    return errors


def validate_owners(owners: Sequence[Object], path: Path) -> list[FieldError]:
    """Each owner is named in full, and one at most is the controller."""
    errors = []
    controller = ""
    for owner in owners:
        errors += _validate_owner(owner, path)
        if owner.get("controller"):
            label = owner.get("name") or ""
            if controller:
                text = (
                    f'Only one reference can have Controller set to true. Found "true" in references for {controller}'
                )
                errors.append(invalid(path, label, f"{text} and {label}"))
            controller = label
    return errors


def validate_finalizers(items: Sequence[str], path: str) -> list[FieldError]:
    """Finalizers are qualified names, and the two ways to treat dependents exclude each other."""
    errors = [invalid(path, item, message) for item in items for message in is_qualified_name(item)]
    if "orphan" in items and "foregroundDeletion" in items:
        errors.append(invalid(path, list(items), "finalizer orphan and foregroundDeletion cannot be both set"))
    return errors


_META = Path("metadata")


def _validate_name(obj: Object, kind: Kind) -> list[FieldError]:
    meta, path, rule = metadata(obj), _META, RULES[kind.strategy.name_is]
    name, base = meta.get("name") or "", meta.get("generateName") or ""
    errors = [invalid(path / "generateName", base, text) for text in rule(base, prefix=True)] if base else []
    if not name:
        return [*errors, required(path / "name", "name or generateName is required")]
    return errors + [invalid(path / "name", name, text) for text in rule(name)]


def _validate_namespace(obj: Object, kind: Kind) -> list[FieldError]:
    namespace, path = metadata(obj).get("namespace") or "", _META / "namespace"
    if kind.namespaced:
        if not namespace:
            return [required(path)]
        return [invalid(path, namespace, message) for message in is_dns_label(namespace)]
    return [forbidden(path, "not allowed on this type")] if namespace else []


def validate_meta(obj: Object, kind: Kind) -> list[FieldError]:
    """Everything that upstream checks of a new object's ObjectMeta, in its order."""
    errors = _validate_name(obj, kind) + _validate_namespace(obj, kind)
    if (generation := metadata(obj).get("generation") or 0) < 0:
        errors.append(invalid(_META / "generation", generation, "must be greater than or equal to 0"))
    if items := labels(obj):
        errors += validate_labels(items, _META / "labels")
    if items := annotations(obj):
        errors += validate_annotations(items, _META / "annotations")
    if owners := owner_references(obj):
        errors += validate_owners(owners, _META / "ownerReferences")
    if names := finalizers(obj):
        errors += validate_finalizers(names, _META / "finalizers")
    return errors


_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate_meta_update(obj: Object, old: Object) -> list[FieldError]:
    """What may not change in ObjectMeta, to be asked after `validate_meta`."""
    path, new_meta, old_meta = _META, metadata(obj), metadata(old)
    errors = []
    if old_meta.get("deletionTimestamp") and (added := sorted(set(finalizers(obj)) - set(finalizers(old)))):
        shown = ", ".join(f'"{name}"' for name in added)
        text = "no new finalizers can be added if the object is being deleted, found new finalizers"
        errors.append(forbidden(path / "finalizers", f"{text} []string{{{shown}}}"))
    for name in _IMMUTABLE:
        errors += immutable(path / name, new_meta.get(name), old_meta.get(name))
    if (generation := new_meta.get("generation") or 0) < (old_meta.get("generation") or 0):
        errors.append(invalid(path / "generation", generation, "must not be decremented"))
    return errors
