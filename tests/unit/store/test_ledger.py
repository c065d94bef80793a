"""The ledger can take back what the database refused."""

import pytest

from apiserver.store import Draft, KeyExists, KeyMissing, Put, Remove, ResourceKey
from apiserver.store.ledger import Ledger

A = ResourceKey("/pods", "default", "a")
B = ResourceKey("/pods", "default", "b")


def put(key: ResourceKey, expected: int | None = None) -> Put:
    """A write of nothing in particular."""
    return Put(key, Draft({"metadata": {"name": key.name}}), expected)


def test_undo_restores_every_kind_of_head() -> None:
    """After undo, keys, deletions and revision are as before the staging."""
    ledger = Ledger()
    ledger.stage([put(A), put(B), Remove(B, None)])
    staged = [ledger.stage([put(A, 1), put(B, 0)]), ledger.stage([Remove(A, 4), put(A, 0)])]
    ledger.undo(staged)
    assert ledger.revision == 3
    with pytest.raises(KeyMissing):
        ledger.stage([Remove(B, None)])
    with pytest.raises(KeyExists):
        ledger.stage([put(A, 0)])
    assert ledger.stage([put(A, 1)]).commit.revision == 4
    assert ledger.stage([put(B, 0)]).changes[0].previous == 3


def test_previous_counts_deletions_until_they_are_buried() -> None:
    """The chain of a key goes through its deletion; once the log has lost that, a new chain begins."""
    ledger = Ledger()
    ledger.stage([put(A), Remove(A, None), put(B), Remove(B, None)])
    assert ledger.stage([put(A)]).changes[0].previous == 2
    ledger.bury(4)
    assert ledger.stage([put(B)]).changes[0].previous == 0
    assert ledger.stage([put(A)]).changes[0].previous == 5
