"""Endpoints, the older form of what slices say."""

import pytest

from controllers.endpoints import LIMIT, OVER_CAPACITY, subsets, wanted_of
from controllers.endpointslice import has_slices
from tests.unit.controllers.test_endpointslice_plan import pod, service


def test_terminating_pods_are_left_out_unless_published() -> None:
    """Ready and not ready apart; one on its way out counts only under publishNotReadyAddresses, as ready."""
    pods = [pod(0), pod(1, ready=False), pod(2, deleted=True)]
    (subset,) = subsets(service(), pods)
    assert [item["ip"] for item in subset["addresses"]] == ["10.244.0.1"]
    assert [item["ip"] for item in subset["notReadyAddresses"]] == ["10.244.0.2"]
    (published,) = subsets(service(publishNotReadyAddresses=True), pods)
    assert [item["ip"] for item in published["addresses"]] == ["10.244.0.1", "10.244.0.2", "10.244.0.3"]
    assert "notReadyAddresses" not in published


def test_too_many_are_cut_off_and_said_so() -> None:
    """An annotation tells that addresses are missing and goes when they are not; other annotations stay."""
    pods = [pod(number) for number in range(LIMIT + 1)]
    cut = wanted_of(service(), pods, None)
    assert sum(len(subset["addresses"]) for subset in cut["subsets"]) == LIMIT
    assert cut["metadata"]["annotations"] == {OVER_CAPACITY: "truncated"}
    cut["metadata"]["annotations"]["mine"] = "x"
    assert wanted_of(service(), pods[:1], cut)["metadata"]["annotations"] == {"mine": "x"}
    whole = wanted_of(service(), pods[:1], None)
    assert wanted_of(service(), pods[:1], whole) == whole


@pytest.mark.parametrize(
    ("spec", "expected"), [({}, True), ({"selector": None}, False), ({"type": "ExternalName"}, False)]
)
def test_whose_endpoints_are_pods(spec: dict[str, object], expected: bool) -> None:  # noqa: FBT001  a parameter of the table
    """A Service without selector has hand-made slices, one of type ExternalName none."""
    assert has_slices(service(**spec)) is expected
