"""Slices repeat hand-made Endpoints."""

from typing import Any

import pytest

from controllers.endpointmirror import LIMIT, MANAGER, is_mirrored, merged, mirrored
from miniplane.api.kind import Object


def endpoints(*subsets: Object, **metadata: Any) -> Object:
    """Endpoints somebody wrote."""
    return {"metadata": {"namespace": "default", "name": "db", "uid": "u-db", **metadata}, "subsets": [*subsets]}


SUBSET: Object = {
    "addresses": [{"ip": "192.0.2.1", "hostname": "a"}, {"ip": "2001:db8::1"}],
    "notReadyAddresses": [{"ip": "192.0.2.2", "nodeName": "node-1"}],
    "ports": [{"port": 5432}],
}
SERVICE: Object = {"metadata": {"name": "db"}, "spec": {}}


def test_a_slice_for_each_family_and_list_of_ports() -> None:
    """Addresses are ready or not as the Endpoints say; the slices name their Service, manager and owner."""
    slices = mirrored(endpoints(SUBSET, labels={"team": "x"})).slices.values()
    by_family = {item["addressType"]: item for item in slices}
    assert by_family["IPv4"]["endpoints"] == [
        {"addresses": ["192.0.2.1"], "conditions": {"ready": True}, "hostname": "a"},
        {"addresses": ["192.0.2.2"], "conditions": {"ready": False}, "nodeName": "node-1"},
    ]
    assert [item["addresses"] for item in by_family["IPv6"]["endpoints"]] == [["2001:db8::1"]]
    metadata = by_family["IPv4"]["metadata"]
    assert metadata["labels"] == {
        "team": "x",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": MANAGER,
    }
    assert [(item["kind"], item["uid"]) for item in metadata["ownerReferences"]] == [("Endpoints", "u-db")]
    assert by_family["IPv4"]["ports"] == [{"name": "", "protocol": "TCP", "port": 5432}]
    assert len(mirrored(endpoints(SUBSET, {**SUBSET, "ports": [{"port": 1}]})).slices) == 4


def test_what_is_too_many_is_counted() -> None:
    """A thousand addresses are mirrored, the others are told."""
    many = [{"ip": f"10.0.{number // 256}.{number % 256}"} for number in range(LIMIT + 3)]
    made = mirrored(endpoints({"addresses": many}))
    assert [len(item["endpoints"]) for item in made.slices.values()] == [LIMIT]
    assert made.too_many == 3


def test_an_unchanged_object_is_not_written_again() -> None:
    """What the server added stays; an annotation that the Endpoints lost goes."""
    (wanted,) = mirrored(endpoints({"addresses": [{"ip": "192.0.2.1"}]})).slices.values()
    stored = {**wanted, "metadata": {**wanted["metadata"], "uid": "u", "resourceVersion": "7"}}
    assert merged(stored, wanted) == stored
    stored["metadata"]["annotations"] = {"old": "x"}
    assert "annotations" not in merged(stored, wanted)["metadata"]


@pytest.mark.parametrize(
    ("metadata", "spec", "expected"),
    [
        ({}, {}, True),
        ({}, {"selector": {"app": "db"}}, False),
        ({}, None, False),
        ({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, {}, False),
        ({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}, {}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, {}, False),
    ],
)
def test_what_is_mirrored(metadata: dict[str, Any], spec: Object | None, expected: bool) -> None:  # noqa: FBT001  a parameter of the table
    """Only Endpoints of a Service without selector, unless a label, an election or their deletion forbids it."""
    service = None if spec is None else {**SERVICE, "spec": spec}
    assert is_mirrored(endpoints(SUBSET, **metadata), service) is expected
