"""When a certificate request has done its service."""

from datetime import UTC, datetime, timedelta

import pytest

from controllers.certificates import is_stale
from miniplane.api.kind import Object
from miniplane.api.meta import timestamp

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "decided", "stale"),
    [(23.9, None, False), (24.1, None, True), (30, 0.9, False), (30, 1.1, True)],
)
def test_decided_ones_stay_an_hour_and_others_a_day(age: float, decided: float | None, stale: bool) -> None:  # noqa: FBT001  a parameter of the table
    """The time counts from the decision where there is one, else from the beginning."""
    request: Object = {"metadata": {"creationTimestamp": timestamp(NOW - timedelta(hours=age))}, "status": {}}
    if decided is not None:
        moment = timestamp(NOW - timedelta(hours=decided))
        request["status"] = {"conditions": [{"type": "Approved", "lastUpdateTime": moment}]}
    assert is_stale(request, NOW) is stale
