"""Content negotiation: the form of an answer that an Accept header asks for."""

import functools
from dataclasses import dataclass
from enum import StrEnum

from miniplane.errors import ApiError, Reason

JSON = "application/json"
YAML = "application/yaml"
_OFFERED = (JSON, YAML)
_META = "meta.k8s.io"


class Shape(StrEnum):
    """What an answer holds."""

    OBJECT = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer looks: shape, media type, and the version of meta.k8s.io for the derived shapes."""

    shape: Shape = Shape.OBJECT
    media: str = JSON
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """The `apiVersion` of a Table or PartialObjectMetadata."""
        return f"{_META}/{self.version}"


PLAIN = Form()
"""Objects as JSON: what most requests get."""


def not_acceptable() -> ApiError:
    """Nothing that the client takes can be given."""
    return ApiError(f"only the following media types are accepted: {', '.join(_OFFERED)}", reason=Reason.NOT_ACCEPTABLE)


@dataclass(frozen=True, slots=True)
class _Clause:
    media: str
    parameters: dict[str, str]
    quality: float


def _clauses(accept: str) -> list[_Clause]:
    clauses = []
    for text in accept.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        clauses.append(_Clause(media.lower(), parameters, quality))
    return sorted(clauses, key=lambda clause: -clause.quality)


def _media(name: str) -> str:
    if name in ("*/*", "application/*", JSON, ""):
        return JSON
    return YAML if name in (YAML, "application/x-yaml", "text/yaml") else ""


@functools.lru_cache(maxsize=512)
def negotiate(accept: str) -> Form:
    """The first form on the client's list that is offered; an empty header takes anything.

    Raises:
        ApiError: NotAcceptable.
    """
    if not accept or accept in ("*/*", JSON):
        return PLAIN
    for clause in _clauses(accept):
        media = _media(clause.media)
        if not media or not clause.quality:
            continue
        wanted = clause.parameters.get("as", "")
        if not wanted:
            return Form(media=media)
        if clause.parameters.get("g") != _META or clause.parameters.get("v") not in ("v1", "v1beta1"):
            continue
        shape = (
            Shape.PARTIAL if wanted == "PartialObjectMetadataList" else next((s for s in Shape if s == wanted), None)
        )
        if shape:
            return Form(shape, media, clause.parameters["v"])
    raise not_acceptable()
