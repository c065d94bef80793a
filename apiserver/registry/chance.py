"""Randomness for names and uids: the system's, fetched in larger pieces."""

import os
from random import SystemRandom

_PIECE = 4096


class PooledRandom(SystemRandom):
    """As SystemRandom, with one system call for some hundred numbers. Make it after a fork, not before."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        self._position = 0

    def getrandbits(self, k: int) -> int:
        """A number of `k` bits."""
        size = (k + 7) // 8
        return int.from_bytes(self._take(size)) >> (size * 8 - k)

    def random(self) -> float:
        """A number in [0, 1), of 53 bits."""
        return self.getrandbits(53) / 2**53

    def _take(self, size: int) -> bytes:
        if self._position + size > len(self._pool):
            self._pool, self._position = os.urandom(max(size, _PIECE)), 0
        start = self._position
        self._position += size
        return self._pool[start : self._position]
