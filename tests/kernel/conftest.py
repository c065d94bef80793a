"""One laboratory for all of these tests: making its namespaces takes a third of a second."""

from collections.abc import Iterator

import pytest

from tests.kernel.cases import LISTENING
from tests.kernel.lab import Lab, LabError, why_not


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A wired laboratory, or a skip that says why there is none."""
    if reason := why_not():
        pytest.skip(reason)
    with Lab() as made:
        made.wire(LISTENING)
        yield made


_REMEMBERING = """table ip6 x {
map m {
type ipv6_addr . inet_service : mark
flags dynamic,timeout
size 9
}
chain c {
update @m { ip6 saddr . th dport timeout 9s : meta mark }
}
}
"""


@pytest.fixture(scope="session")
def remembers_in_sixth(lab: Lab) -> bool:
    """Whether this nft can write a rule that remembers an IPv6 client; 1.0.6 fails an assertion of its own."""
    try:
        lab.list_rules([f"flush ruleset\n{_REMEMBERING}"])
    except LabError:
        return False
    return True
