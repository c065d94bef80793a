"""PATCH: the three ways to say what changes, as functions of the stored object."""

from collections.abc import Callable, Sequence
from typing import Any

from miniplane.api import decode as decoding
from miniplane.api import patch as patches
from miniplane.api.kind import Kind, Object
from miniplane.errors import bad_request, unsupported_media_type

from ..store.base import Entry
from .decoding import Decoder, check_kind, copy_of
from .pipeline import Change
from .request import Body, FieldValidation

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
OPERATIONS_LIMIT = 10_000
"""Operations in one JSON patch: upstream's limit."""

Apply = Callable[[Object], Object]


class Patcher:
    """Reads patch bodies."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def apply(self, body: Body, kind: Kind | None, warnings: list[str], validation: FieldValidation) -> Apply:
        """The patch as a function that may change its argument. Without `kind`, strategic is the same as merge.

        Raises:
            ApiError: UnsupportedMediaType, BadRequest.
        """
        media = decoding.media_type(body.content_type)
        if media not in ACCEPTED or media == APPLY_PATCH:
            raise unsupported_media_type(media, ACCEPTED)
        if media == STRATEGIC_MERGE_PATCH and kind is not None and kind.own_schema is not None:
            raise unsupported_media_type(media, (JSON_PATCH, MERGE_PATCH))
        if media == JSON_PATCH:
            operations = decoding.parse_json(body.data)
            _check_operations(operations)
            return lambda obj: patches.json_patch(obj, operations)
        decoded = decoding.decode(body.data)
        self._warn_duplicates(decoded.duplicate_fields, warnings, validation)
        if media == MERGE_PATCH or kind is None:
            return lambda obj: patches.merge_patch(obj, decoded.obj)
        schema = self._decoder.schema.view(kind)
        return lambda obj: patches.strategic_merge(obj, decoded.obj, schema)

    @staticmethod
    def _warn_duplicates(paths: Sequence[str], warnings: list[str], validation: FieldValidation) -> None:
        found = [f'duplicate field "{path}"' for path in paths]
        if found and validation is FieldValidation.STRICT:
            raise bad_request(f"strict decoding error: {', '.join(found)}")
        if validation is FieldValidation.WARN:
            warnings += found

    def change(self, body: Body, kind: Kind, warnings: list[str], validation: FieldValidation) -> Change:
        """The patch, of `kind`'s form, as a change of the stored object, its result checked as a body would be."""
        apply = self.apply(body, kind, warnings, validation)

        def change(entry: Entry, messages: list[str]) -> Object:
            obj = apply(kind.shown(copy_of(entry.value)))
            check_kind(obj, kind.kind, kind.api_version)
            self._decoder.check(kind, obj, validation, messages)
            return kind.taken(obj)

        return change


def _check_operations(operations: Any) -> None:
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_LIMIT:
        raise bad_request(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(operations)}"
        )
