"""From a body to an object of the kind that the path names, checked against the schema's types and fields."""

from collections.abc import Sequence
from typing import Any

import orjson

from miniplane.api import protobuf
from miniplane.api import schema as schemas
from miniplane.api.decode import Decoded
from miniplane.api.kind import Kind, Object
from miniplane.api.schema import Schema
from miniplane.errors import bad_request

from .request import Body, FieldValidation


class Decoder:
    """Decodes bodies."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def decode(self, kind: Kind, body: Body, validation: FieldValidation, warnings: list[str]) -> Object:
        """An object of `kind` in the form that is stored, its `kind` and `apiVersion` filled in.

        Raises:
            ApiError: BadRequest for what is no object, is of another kind, or has wrong types (under Strict also
                unknown or duplicate fields); UnsupportedMediaType.
        """
        decoded = self.read(body)
        obj = decoded.obj
        check_kind(obj, kind.kind, kind.api_version)
        self.check(kind, obj, validation, warnings, decoded.duplicate_fields)
        return kind.taken(obj)

    def read(self, body: Body) -> Decoded:
        """The object in a body of any form that is understood: JSON, YAML, protobuf.

        Raises:
            ApiError: BadRequest, UnsupportedMediaType.
        """
        return protobuf.read(body.data, body.content_type, self.schema)

    def read_any(self, body: Body) -> Any:
        """What a body says, patches too.

        Raises:
            ApiError: BadRequest, UnsupportedMediaType.
        """
        if "patch" not in body.content_type:
            return self.read(body).obj
        try:
            return orjson.loads(body.data)
        except orjson.JSONDecodeError:
            return self.read(Body(body.data, "application/yaml")).obj

    def check(
        self,
        kind: Kind,
        obj: Object,
        validation: FieldValidation,
        warnings: list[str],
        duplicates: Sequence[str] = (),
    ) -> None:
        """Bring an object into canonical form, in place; fields that the kind does not have are dropped.

        Also for the result of a patch.
        """
        unknown = self.schema.read(obj, kind, drop=True)
        if unknown or duplicates:
            if validation is FieldValidation.STRICT:
                raise schemas.strict_error(kind, schemas.strict_texts(unknown, duplicates))
            if validation is FieldValidation.WARN:
                warnings += schemas.strict_texts(unknown, duplicates)

    def reform(self, kind: Kind, obj: Object) -> None:
        """Bring an object that somebody else changed into canonical form; unknown fields are dropped in silence."""
        self.check(kind, obj, FieldValidation.IGNORE, [])


def check_kind(obj: Object, kind: str, api_version: str) -> None:
    """Fill in `kind` and `apiVersion` where absent; another one is a BadRequest."""
    given, version = obj.get("kind") or kind, obj.get("apiVersion") or api_version
    if not isinstance(given, str) or not isinstance(version, str):
        raise bad_request("the object provided is unrecognized: kind and apiVersion must be strings")
    if version != api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({api_version})"
        )
    if given != kind:
        raise bad_request(f"the kind in the data ({given}) does not match the expected kind ({kind})")
    if "kind" not in obj or "apiVersion" not in obj:
        rest = dict(obj)
        obj.clear()
        obj |= {"kind": kind, "apiVersion": api_version, **rest}  # first, where a reader looks for them
    obj["kind"], obj["apiVersion"] = kind, api_version
    metadata = obj.get("metadata")
    if metadata is None:
        obj["metadata"] = {}
    elif not isinstance(metadata, dict):
        raise bad_request(f"{kind} in version {api_version!r} cannot be handled: metadata must be an object")


def copy_of(value: bytes) -> Any:
    """A private copy of a stored object: parsing its bytes is several times faster than copying its parts."""
    return orjson.loads(value)
