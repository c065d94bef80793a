"""One laboratory for all of these tests: making its namespaces takes a third of a second."""

from collections.abc import Iterator

import pytest

from tests.kernel.cases import LISTENING
from tests.kernel.lab import Lab, why_not


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A wired laboratory, or a skip that says why there is none."""
    if reason := why_not():
        pytest.skip(reason)
    with Lab() as made:
        made.wire(LISTENING)
        yield made
