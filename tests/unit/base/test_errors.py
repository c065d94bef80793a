"""Errors and Status objects are two forms of one thing, in upstream's words."""

import pytest

from miniplane import errors
from miniplane.errors import Cause, Resource

DEPLOYMENTS = Resource("deployments", "apps", "Deployment")
PODS = Resource("pods", "", "Pod")
CASES = [
    (errors.not_found(PODS, "a"), 404, 'pods "a" not found'),
    (errors.already_exists(DEPLOYMENTS, "a"), 409, 'deployments.apps "a" already exists'),
    (
        errors.invalid(PODS, "a", [Cause("FieldValueRequired", "Required value", "spec.containers")]),
        422,
        'Pod "a" is invalid: spec.containers: Required value',
    ),
    (
        errors.invalid(DEPLOYMENTS, "a", [Cause("x", "one", "a"), Cause("y", "two", "b")]),
        422,
        'Deployment.apps "a" is invalid: [a: one, b: two]',
    ),
    (errors.expired("too old"), 410, "too old"),
    (errors.unauthorized(), 401, "Unauthorized"),
    (errors.ApiError("slow down", reason=errors.Reason.TOO_MANY_REQUESTS, retry_after_s=5), 429, "slow down"),
]


@pytest.mark.parametrize(
    ("error", "code", "message"), CASES, ids=[str(case[0].reason) + str(i) for i, case in enumerate(CASES)]
)
def test_status_round_trip(error: errors.ApiError, code: int, message: str) -> None:
    """What the server renders, the client reads back as the same class and content."""
    status = error.to_status()
    assert (status["code"], status["message"], status["status"]) == (code, message, "Failure")
    back = errors.from_status(status, code)
    assert type(back) is type(error)
    assert back.to_status() == status


def test_unknown_reason_is_kept_apart() -> None:
    """A Status with a reason that we don't know is still an error with its code."""
    assert errors.from_status({"reason": "Teapot", "message": "short"}, 418).code == 418
