"""Writes that belong to another write: allocations that must stand or fall with it.

An allocator looks at an object about to be stored, fills in what it allocates and names the entries that record it;
the pipeline commits all in one. Uniqueness is the store's: two commits can't create one key.
"""

from collections.abc import Sequence
from typing import Protocol

from miniplane.api.kind import Object

from ..store.base import Write

ATTEMPTS = 16
"""How often a write is tried again because a companion's key was taken between choosing and committing."""


class Allocator(Protocol):
    """Allocates for objects of one resource."""

    resource: str

    def plan(self, new: Object | None, old: Object | None, *, dry_run: bool) -> Sequence[Write]:
        """Fill in `new` and return the writes that go with it; `new` is None on deletion, `old` on creation.

        Raises ApiError where nothing is free or what is asked for is taken.
        """


class Companions:
    """The allocators by resource."""

    def __init__(self, allocators: Sequence[Allocator] = ()) -> None:
        self._by_resource = {allocator.resource: allocator for allocator in allocators}

    def plan(self, resource: str, new: Object | None, old: Object | None, *, dry_run: bool = False) -> Sequence[Write]:
        """The writes that go with one of `resource`; none for most."""
        allocator = self._by_resource.get(resource)
        return allocator.plan(new, old, dry_run=dry_run) if allocator else ()

    def has(self, resource: str) -> bool:
        """Whether anything is allocated for objects of `resource`."""
        return resource in self._by_resource
