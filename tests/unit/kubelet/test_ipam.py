"""The addresses of one node's pods."""

import pytest

from agents.network.ipam import Exhausted, Ipam


def test_first_address_is_the_gateway_and_never_given() -> None:
    """A /29 block has a gateway and five pod addresses; the sixth pod gets none."""
    ipam = Ipam("10.244.1.0/29")
    assert ipam.gateway == "10.244.1.1"
    assert [ipam.allocate(f"pod-{number}") for number in range(5)] == [f"10.244.1.{number}" for number in range(2, 7)]
    with pytest.raises(Exhausted):
        ipam.allocate("one too many")


def test_an_owner_keeps_its_address() -> None:
    """Asking twice gives the same address and uses up no second one."""
    ipam = Ipam("10.244.1.0/24")
    assert ipam.allocate("a") == ipam.allocate("a")
    assert len(ipam) == 1


def test_a_released_address_comes_back_last() -> None:
    """The address of a gone pod is given again only after all the others."""
    ipam = Ipam("10.244.1.0/29")
    ipam.allocate("a")
    ipam.release("a")
    given = [ipam.allocate(f"pod-{number}") for number in range(5)]
    assert given == ["10.244.1.3", "10.244.1.4", "10.244.1.5", "10.244.1.6", "10.244.1.2"]


def test_adopted_addresses_are_not_given_again() -> None:
    """After a restart an existing pod keeps its address and new pods get later ones."""
    ipam = Ipam("10.244.1.0/24")
    assert ipam.adopt("old", "10.244.1.7")
    assert ipam.adopt("old", "10.244.1.7")
    assert not ipam.adopt("thief", "10.244.1.7")
    assert ipam.allocate("new") == "10.244.1.8"


@pytest.mark.parametrize("address", ["10.244.1.0", "10.244.1.1", "10.244.1.255", "10.244.2.4", "fd00::4"])
def test_foreign_and_reserved_addresses_are_not_adopted(address: str) -> None:
    """Only an address that could have been given can be adopted."""
    assert not Ipam("10.244.1.0/24").adopt("pod", address)


def test_release_is_idempotent() -> None:
    """Releasing twice, or what was never given, changes nothing."""
    ipam = Ipam("10.244.1.0/24")
    ipam.release("nobody")
    ipam.allocate("a")
    ipam.release("a")
    ipam.release("a")
    assert len(ipam) == 0
