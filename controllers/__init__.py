"""The controllers: one file each, and the ordered list of them in `manager`.

Each file declares an `On`: which kind it reconciles and what else wakes it. Decisions are pure functions in the same
file; what is left is reading caches and writing through the client. They meet only in the API.
"""

from .manager import run
from .settings import Settings

__all__ = ["Settings", "run"]
