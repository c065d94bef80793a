"""Results as answers: objects, lists and Tables as bytes in the form that the client asked for."""

from datetime import datetime
from typing import Any

import orjson
import yaml

from miniplane.aio import Clock
from miniplane.api import table
from miniplane.api.kind import Kind, Object

from ..registry.reading import Page
from ..store.base import Entry
from .answer import Answer
from .call import Call
from .negotiate import YAML, Form, Shape, negotiate

_QUOTE = str.maketrans({**{chr(code): " " for code in (*range(32), 127)}, '"': '\\"', "\\": "\\\\"})
_NO_CACHE = "no-cache, private"


def respond(call: Call, body: bytes, *, status: int = 200, media: str = "application/json") -> Answer:
    """An answer with the request's warnings in its head."""
    head = f"Content-Type: {media}\r\nCache-Control: {_NO_CACHE}\r\n"
    if call.id:
        head += f"Audit-Id: {call.id}\r\n"
    for text in dict.fromkeys(call.warnings):
        head += f'Warning: 299 - "{text.translate(_QUOTE)}"\r\n'
    return Answer(status, head, body)


def _form(call: Call) -> Form:
    return negotiate(call.request.headers.get("Accept", ""))


class Renderer:
    """Renders what the registry returns; the clock tells ages in Tables."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def object(self, call: Call, obj: Object, status: int = 200) -> Answer:
        """An object that is not stored, such as a Scale or a Status."""
        return _encode(call, orjson.dumps(obj), _form(call).media, status)

    def entry(self, call: Call, kind: Kind, entry: Entry, status: int = 200) -> Answer:
        """A stored object; in its own form these are its stored bytes."""
        form = _form(call)
        if form.shape is Shape.OBJECT and kind.face is None:
            return _encode(call, entry.value, form.media, status)
        body = orjson.dumps(self.shape(call, kind, entry.obj, form))
        return _encode(call, body, form.media, status)

    def shape(self, call: Call, kind: Kind, obj: Object, form: Form, *, definitions: bool = True) -> Object:
        """One stored object in the kind's form, as a Table of one row or as its metadata."""
        if form.shape is Shape.OBJECT:
            return kind.shown(obj)
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

    def page(self, call: Call, kind: Kind, page: Page) -> Answer:
        """A list; in its own form the stored bytes are joined, none is parsed."""
        form = _form(call)
        metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        if form.shape is Shape.OBJECT:
            head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
            if kind.face is None:
                items = b",".join([entry.value for entry in page.entries])
            else:
                items = b",".join([orjson.dumps(kind.shown(entry.obj)) for entry in page.entries])
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


def _encode(call: Call, body: bytes, media: str, status: int = 200) -> Answer:
    if media == YAML:
        text = yaml.safe_dump(orjson.loads(body), sort_keys=False, allow_unicode=True)
        return respond(call, text.encode(), status=status, media=YAML)
    return respond(call, body, status=status)
