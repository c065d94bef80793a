"""Names as numbers: ids that depend on what they name, not on when it came."""

from collections.abc import Sequence
from hashlib import blake2s

FIRST_ID = 0x20000
"""Ids start here; smaller marks count backends."""


def stable_ids(names: Sequence[str]) -> list[int]:
    """A different 32-bit number, at least `FIRST_ID`, for each of the names, which must differ.

    Hashes, so adding a name leaves the others' ids alone; only if two ever collide are all drawn anew with the next
    salt. The same set of names gives the same ids in any order.
    """
    salt = 0
    while True:
        ids = [_hash(name, salt) for name in names]
        if len(set(ids)) == len(ids):
            return ids
        salt += 1


def _hash(name: str, salt: int) -> int:
    digest = blake2s(name.encode(), digest_size=4, salt=salt.to_bytes(8, "big")).digest()
    return FIRST_ID + int.from_bytes(digest, "big") % (0xFFFFFFFF - FIRST_ID)
