"""Names and metadata are judged by upstream's rules in upstream's words."""

from typing import Any

import pytest

from miniplane.api import names
from miniplane.api.kind import Kind, Scope, Strategy

POD = Kind(group="", version="v1", kind="Pod", plural="pods", scope=Scope.NAMESPACED)
NODE = Kind(group="", version="v1", kind="Node", plural="nodes", scope=Scope.CLUSTER)
SERVICE = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    scope=Scope.NAMESPACED,
    strategy=Strategy(name_is="label_1035"),
)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("subdomain", ["a", "a.b-c", "9", "a" * 253], ["", "A", "a_b", "-a", "a.", "a..b", "a" * 254, "a\n"]),
        ("label", ["a", "9-a", "a" * 63], ["", "a.b", "a-", "a" * 64]),
        ("label_1035", ["a", "a-9"], ["9", "a.b", "9a"]),
        ("path_segment", ["a:b", "A_b"], [".", "..", "a/b", "a%b"]),
        ("ip", ["10.0.0.1", "2001:db8::1"], ["10.0.0.01", "2001:DB8::1", "2001:db8:0::1", "x", "fe80::1%eth0"]),
    ],
)
def test_name_rules(rule: str, good: list[str], bad: list[str]) -> None:
    """Each rule that a Strategy can name takes and refuses what upstream does."""
    check = names.RULES[rule]
    assert [text for text in good if check(text)] == []
    assert [text for text in bad if not check(text)] == []


def test_messages() -> None:
    """The texts are upstream's, to the odd double space between examples."""
    assert names.is_dns_label("a.b") == ["must not contain dots"]
    assert names.is_dns_label("A") == [
        (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character "
            "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
    ]
    assert names.is_dns_subdomain("a_b") == [
        (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    ]


def test_qualified_names() -> None:
    """A key has a name of 63 and may have a subdomain before one slash."""
    assert not any(map(names.is_qualified_name, ("a", "A_b.c", "example.com/a")))
    assert names.is_qualified_name("/a") == ["prefix part must be non-empty"]
    assert names.is_qualified_name("a/")[0] == "name part must be non-empty"
    assert names.is_qualified_name("a/b/c")[0].startswith("a qualified name must consist of")
    assert names.is_qualified_name("a" * 64) == ["name part must be no more than 63 bytes"]


def test_values_and_smaller_names() -> None:
    """Label values, port names, config keys, environment names, addresses and blocks."""
    assert names.is_label_value("") == []
    assert names.is_label_value("a b")
    assert names.is_port_name("http-2") == []
    assert names.is_port_name("80") == ["must contain at least one letter (a-z)"]
    assert names.is_port_name("a--b") == ["must not contain consecutive hyphens"]
    assert names.is_config_key("..a") == ["must not start with '..'"]
    assert names.is_env_name("a.b") == []
    assert names.is_env_name("a=b")
    assert names.is_cidr("10.0.0.0/8") == []
    assert names.is_cidr("10.0.0.0/255.0.0.0")
    assert names.is_cidr("10.0.0.0")
    assert names.is_wildcard_dns_subdomain("*.a.b") == []
    assert names.is_wildcard_dns_subdomain("*a.b")


def test_generated_names_fit() -> None:
    """A long prefix gives way so that the name stays a label."""
    assert names.generate("web-", "x7k2p") == "web-x7k2p"
    assert len(names.generate("a" * 80, "x7k2p")) == 63


def _fields(meta: dict[str, Any], kind: Kind = POD) -> list[tuple[str, str]]:
    return [(error.field, error.message) for error in names.validate_meta({"metadata": meta}, kind)]


def test_name_and_namespace_are_needed() -> None:
    """An object needs a name; a namespace is needed by namespaced kinds and refused by the others."""
    assert _fields({}) == [
        ("metadata.name", "Required value: name or generateName is required"),
        ("metadata.namespace", "Required value"),
    ]
    assert _fields({"name": "a", "namespace": "b"}, NODE) == [
        ("metadata.namespace", "Forbidden: not allowed on this type")
    ]
    assert _fields({"name": "a.b", "namespace": "default"}) == []


def test_the_rule_for_the_name_is_the_kinds() -> None:
    """A Service's name can't start with a digit; a generateName may end with a dash."""
    assert _fields({"name": "9a", "namespace": "b"}, SERVICE)[0][0] == "metadata.name"
    assert _fields({"name": "a", "generateName": "a-", "namespace": "b"}, SERVICE) == []
    assert _fields({"name": "a", "generateName": "AB-", "namespace": "b"}, SERVICE)[0][0] == "metadata.generateName"


def test_the_rest_of_the_metadata() -> None:
    """Labels, annotations, owners and finalizers are judged, each at upstream's path."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u", "controller": True}
    meta = {
        "name": "a",
        "namespace": "b",
        "labels": {"-a": "b c"},
        "annotations": {"a": "x" * (256 * 1024)},
        "ownerReferences": [owner, owner, {"apiVersion": "", "kind": "Pod", "name": "a", "uid": ""}],
        "finalizers": ["orphan", "foregroundDeletion"],
    }
    assert [field for field, _ in _fields(meta)] == [
        "metadata.labels",
        "metadata.labels",
        "metadata.annotations",
        "metadata.ownerReferences",
        "metadata.ownerReferences.apiVersion",
        "metadata.ownerReferences.uid",
        "metadata.finalizers",
    ]
    assert ("metadata.annotations", "Too long: may not be more than 262144 bytes") in _fields(meta)


def test_what_an_update_may_not_change() -> None:
    """Identity is immutable, and an object that is going takes no new finalizers."""
    old = {"metadata": {"name": "a", "uid": "1", "generation": 3, "deletionTimestamp": "x", "finalizers": ["a.b/c"]}}
    new = {"metadata": {"name": "b", "uid": "1", "generation": 2, "deletionTimestamp": "x", "finalizers": ["a.b/d"]}}
    assert names.validate_meta_update(old, old) == []
    assert [(error.field, error.message) for error in names.validate_meta_update(new, old)] == [
        (
            "metadata.finalizers",
            (
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                'found new finalizers []string{"a.b/d"}'
            ),
        ),
        ("metadata.name", 'Invalid value: "b": field is immutable'),
        ("metadata.generation", "Invalid value: 2: must not be decremented"),
    ]
