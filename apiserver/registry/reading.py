"""Get, list and watch, for any kind: selectors, consistent pages, what a resourceVersion asks for.

Upstream counterpart: k8s.io/apiserver, pkg/storage, and the API concepts page on resource versions.
"""

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from miniplane.api.kind import Kind, Object
from miniplane.api.meta import path_getter
from miniplane.api.selectors import EVERYTHING, FieldSelector, LabelSelector
from miniplane.errors import ApiError, Cause, Expired, Reason, Resource, bad_request, expired, invalid

from ..store.base import About, Compacted, Entry, Listing, Store
from .request import Target

WAIT_S = 3.0
"""How long a read waits for a revision that is not there yet: upstream's own patience."""
_SNAPSHOTS = 16
"""Listings kept for the next pages of as many lists; a page beyond them reads the log."""
_OPTIONS = Resource("", "meta.k8s.io", "ListOptions")
_DIGITS = 20
"""Digits of the largest number of 64 bits; Python refuses to read very long ones."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind are asked for."""

    labels: LabelSelector = EVERYTHING
    fields: FieldSelector = field(default_factory=FieldSelector)
    paths: dict[str, Callable[[Object], Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, kind: Kind, labels: str, fields: str) -> "Selection":
        """Of the texts of a query.

        Raises:
            ApiError: BadRequest.
        """
        if not labels and not fields:
            return EVERY
        selector = FieldSelector.parse(fields, kind.fields)
        paths = {term.field: path_getter(_path(kind, term.field)) for term in selector.terms}
        return cls(LabelSelector.parse(labels), selector, paths)

    def __bool__(self) -> bool:
        return bool(self.labels) or bool(self.fields)

    def matches(self, obj: Object) -> bool:
        """Whether an object is selected."""
        for term in self.fields.terms:
            value = self.paths[term.field](obj)
            if (_text(value) == term.value) is term.negated:
                return False
        return not self.labels or self.labels.matches(obj["metadata"].get("labels") or {})

    @property
    def about(self) -> About | None:
        """The one value that a field must have, where one must."""
        term = next((term for term in self.fields.terms if not term.negated), None)
        if term is None:
            return None
        get = self.paths[term.field]
        return About(term.field, term.value, lambda obj: _text(get(obj)))

    @property
    def name(self) -> str:
        """The one name that can match, empty if any can."""
        return self.fields.exact("metadata.name") or ""


EVERY = Selection()


def _path(kind: Kind, label: str) -> str:
    path = kind.fields.get(label, label)
    return path if path.startswith((".", "[")) else f".{path}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def matching(entries: Iterable[Entry], selection: Selection) -> Iterator[Entry]:
    """The entries selected, in order."""
    if not selection:
        return iter(entries)
    matches = selection.matches
    return (entry for entry in entries if matches(entry.obj))


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list asks for beside its selectors."""

    limit: int = 0
    token: str = ""
    resource_version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, as of `revision`. `remaining` is None where it is not known: with selectors."""

    entries: Sequence[Entry]
    revision: int
    token: str = ""
    remaining: int | None = None


class ExpiredToken(Expired):
    """A continue token whose snapshot is gone; carries one that goes on without it."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list."
        )
        self._token = token

    def to_status(self) -> dict[str, Any]:
        """As any other, with the fresh token in the metadata."""
        return {**super().to_status(), "metadata": {"continue": self._token}}


@dataclass(frozen=True, slots=True)
class _Token:
    """Where the next page starts: after `last`, as of `revision` (-1: of now)."""

    revision: int
    last: str

    def __str__(self) -> str:
        content = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.last}
        return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "_Token":
        try:
            content = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if (
                content["v"] == "meta.k8s.io/v1"
                and isinstance(content["rv"], int)
                and isinstance(content["start"], str)
            ):
                return cls(content["rv"], content["start"])
        except (binascii.Error, ValueError, KeyError, TypeError):
            pass
        raise bad_request(f"continue key is not valid: {text}")


def parse_revision(text: str) -> int:
    """A resourceVersion as a number, 0 where absent.

    Raises:
        ApiError: BadRequest.
    """
    if not text:
        return 0
    is_number = text.isascii() and text.isdigit()
    if is_number and len(text) <= _DIGITS and (number := int(text)) < 1 << 64:
        return number
    why = "value out of range" if is_number else "invalid syntax"
    raise bad_request(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}')


def invalid_option(option: str, detail: str, *, value: str | None = None) -> ApiError:
    """A combination of list options that is refused."""
    if value is None:
        cause = Cause("FieldValueForbidden", f"Forbidden: {detail}", option)
    else:
        cause = Cause("FieldValueNotSupported", f'Unsupported value: "{value}": {detail}', option)
    return invalid(_OPTIONS, "", [cause])


def check_match(options: ListOptions) -> None:
    """What upstream requires of resourceVersionMatch on a list."""
    if not options.match:
        return
    name = "resourceVersionMatch"
    if options.match not in ("Exact", "NotOlderThan"):
        supported = 'supported values: "Exact", "NotOlderThan", ""'
        raise invalid_option(name, supported, value=options.match)
    if options.token:
        raise invalid_option(name, f"{name} is forbidden for continue")
    if not options.resource_version:
        raise invalid_option(name, f"{name} is forbidden unless resourceVersion is provided")
    if options.match == "Exact" and options.resource_version == "0":
        raise invalid_option(name, f'{name} "Exact" is forbidden for resourceVersion "0"')


class Reader:
    """The reading side of the registry."""

    def __init__(self, store: Store, *, wait_s: float = WAIT_S) -> None:
        self.store = store
        self._wait_s = wait_s
        self._snapshots: OrderedDict[tuple[str, str, int], Listing] = OrderedDict()

    def forget(self) -> None:
        """Drop the listings kept for next pages; those are read from the log then."""
        self._snapshots.clear()

    async def wait_for(self, revision: int) -> None:
        """Return once reads show `revision`.

        Raises:
            ApiError: Timeout, "Too large resource version", after a few seconds.
        """
        if revision <= self.store.revision:
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self.store.wait_for(revision)
        except TimeoutError:
            raise too_large(revision, self.store.revision) from None

    async def list(self, target: Target, selection: Selection, options: ListOptions) -> Page:
        """A list, or a page of one.

        Raises:
            ApiError: BadRequest, Invalid, Expired, Timeout.
        """
        check_match(options)
        if options.token:
            return await self._next_page(target, selection, options)
        listing = await self._listing(target, options)
        if name := selection.name:
            entries: Iterable[Entry] = [entry for entry in listing.entries if entry.key.name == name]
        else:
            entries = listing.entries
        if not options.limit:
            return Page(list(matching(entries, selection)) if selection else listing.entries, listing.revision)
        return self._page(target, selection, options.limit, listing, 0)

    async def _listing(self, target: Target, options: ListOptions) -> Listing:
        wanted = parse_revision(options.resource_version)
        is_exact = options.match == "Exact" or (not options.match and options.limit > 0 and wanted > 0)
        await self.wait_for(wanted)
        if is_exact and wanted != self.store.revision:
            return await self._at(target, wanted)
        return self.store.list(target.resource, target.namespace)

    async def _at(self, target: Target, revision: int) -> Listing:
        key = (target.resource, target.namespace, revision)
        if found := self._snapshots.get(key):
            self._snapshots.move_to_end(key)
            return found
        try:
            listing = await self.store.list_at(target.resource, target.namespace, revision)
        except Compacted as error:
            raise expired(f"The resourceVersion for the provided list is too old. (oldest: {error.oldest})") from error
        self._remember(key, listing)
        return listing

    def _remember(self, key: tuple[str, str, int], listing: Listing) -> None:
        self._snapshots[key] = listing
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)

    async def _next_page(self, target: Target, selection: Selection, options: ListOptions) -> Page:
        token = _Token.parse(options.token)
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        if token.revision < 0:
            listing = self.store.list(target.resource, target.namespace)
        elif token.revision > self.store.revision:
            raise too_large(token.revision, self.store.revision)
        else:
            try:
                listing = await self._at(target, token.revision)
            except Expired as error:
                raise ExpiredToken(str(_Token(-1, token.last))) from error
        start = _after(listing.entries, token.last)
        return self._page(target, selection, options.limit, listing, start)

    def _page(self, target: Target, selection: Selection, limit: int, listing: Listing, start: int) -> Page:
        entries, index = listing.entries, start
        chosen: list[Entry] = []
        total = len(entries)
        while index < total and (not limit or len(chosen) < limit):
            if not selection or selection.matches(entries[index].obj):
                chosen.append(entries[index])
            index += 1
        has_more = index < total
        if has_more and selection:
            has_more = any(True for _ in matching(entries[index:], selection))
        if not has_more:
            return Page(chosen, listing.revision)
        self._remember((target.resource, target.namespace, listing.revision), listing)
        token = _Token(listing.revision, _place(entries[index - 1]))
        return Page(chosen, listing.revision, str(token), None if selection else total - index)


def _place(entry: Entry) -> str:
    return f"{entry.key.namespace}/{entry.key.name}"


def _after(entries: Sequence[Entry], last: str) -> int:
    """The index of the first entry behind `last`."""
    namespace, _, name = last.partition("/")
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if (entries[middle].key.namespace, entries[middle].key.name) <= (namespace, name):
            low = middle + 1
        else:
            high = middle
    return low


def too_large(wanted: int, current: int) -> ApiError:
    """A revision that nobody has seen yet."""
    return ApiError(
        f"Too large resource version: {wanted}, current: {current}",
        reason=Reason.TIMEOUT,
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version")],
        retry_after_s=1,
    )
