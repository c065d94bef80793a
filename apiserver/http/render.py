"""Results as answers: objects, lists and Tables as bytes in the form that the client asked for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import yaml
from aiohttp import web
from multidict import CIMultiDict

from miniplane.aio import Clock
from miniplane.api import table
from miniplane.api.kind import Kind, Object

from ..registry.reading import Page
from ..store.base import Entry
from .call import Call
from .negotiate import YAML, Form, Shape, negotiate

_QUOTE = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": " ", "\r": " "})
_NO_CACHE = "no-cache, private"


def respond(call: Call, body: bytes, *, status: int = 200, media: str = "application/json") -> web.Response:
    """An answer with the request's warnings in its head."""
    headers: Any = {"Content-Type": media, "Cache-Control": _NO_CACHE}
    if call.id:
        headers["Audit-Id"] = call.id
    if call.warnings:
        pairs = list(headers.items())
        pairs += [("Warning", f'299 - "{text.translate(_QUOTE)}"') for text in dict.fromkeys(call.warnings)]
        return web.Response(body=body, status=status, headers=web_headers(pairs))
    return web.Response(body=body, status=status, headers=headers)


def web_headers(pairs: Sequence[tuple[str, str]]) -> Any:
    """Headers of which one may come twice."""
    return CIMultiDict(pairs)


def _form(call: Call) -> Form:
    return negotiate(call.request.headers.get("Accept", ""))


class Renderer:
    """Renders what the registry returns; the clock tells ages in Tables."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def object(self, call: Call, obj: Object, status: int = 200) -> web.Response:
        """An object that is not stored, such as a Scale or a Status."""
        return _encode(call, orjson.dumps(obj), _form(call).media, status)

    def entry(self, call: Call, kind: Kind, entry: Entry, status: int = 200) -> web.Response:
        """A stored object; in its own form these are its stored bytes."""
        form = _form(call)
        if form.shape is Shape.OBJECT:
            return _encode(call, entry.value, form.media, status)
        body = orjson.dumps(self.shape(call, kind, entry.obj, form))
        return _encode(call, body, form.media, status)

    def shape(self, call: Call, kind: Kind, obj: Object, form: Form, *, definitions: bool = True) -> Object:
        """One object as a Table of one row or as its metadata."""
        if form.shape is Shape.PARTIAL:
            return table.partial(obj, form.api_version)
        return table.to_table(
            kind,
            (obj,),
            self.now(),
            include_object=table.include_option(call.query.get("includeObject", "")),
            metadata={"resourceVersion": obj["metadata"].get("resourceVersion", "")},
            definitions=definitions,
            api_version=form.api_version,
        )

    def now(self) -> datetime:
        """The present time."""
        return self._clock.now()

    def page(self, call: Call, kind: Kind, page: Page) -> web.Response:
        """A list; in its own form the stored bytes are joined, none is parsed."""
        form = _form(call)
        metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        if form.shape is Shape.OBJECT:
            head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
            items = b",".join([entry.value for entry in page.entries])
            return _encode(call, b'%b,"items":[%b]}' % (orjson.dumps(head)[:-1], items), form.media)
        objects = (entry.obj for entry in page.entries)
        if form.shape is Shape.PARTIAL:
            result = table.partial_list(objects, metadata, form.api_version)
        else:
            include = table.include_option(call.query.get("includeObject", ""))
            result = table.to_table(
                kind,
                objects,
                self.now(),
                include_object=include,
                metadata=metadata,
                api_version=form.api_version,
            )
        return _encode(call, orjson.dumps(result), form.media)


def _encode(call: Call, body: bytes, media: str, status: int = 200) -> web.Response:
    if media == YAML:
        text = yaml.safe_dump(orjson.loads(body), sort_keys=False, allow_unicode=True)
        return respond(call, text.encode(), status=status, media=YAML)
    return respond(call, body, status=status)
