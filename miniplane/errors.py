"""The errors of the API: one tree, one wire form.

    ApiError(reason, message, details)          ⇄  a Status object
    ├── NotFound            404
    ├── AlreadyExists       409
    ├── Conflict            409  stale resourceVersion, uid precondition, field manager
    ├── Invalid             422  carries causes, each with a field path
    ├── Expired             410  a resourceVersion or continue token older than the log
    └── Unavailable         503  no server answered; also raised by the client when the connection fails

A subclass exists where somebody catches it; every other reason is an `ApiError` made by a function below.
Layers raise these; the API server's errors middleware renders them and the client parses them back.
Messages and details follow upstream (k8s.io/apimachinery, pkg/api/errors), so that clients' checks hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Reason(StrEnum):
    """The machine-readable word of a Status; `code` is the HTTP status that goes with it."""

    BAD_REQUEST = "BadRequest"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    NOT_ACCEPTABLE = "NotAcceptable"
    ALREADY_EXISTS = "AlreadyExists"
    CONFLICT = "Conflict"
    GONE = "Gone"
    EXPIRED = "Expired"
    REQUEST_ENTITY_TOO_LARGE = "RequestEntityTooLarge"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    INVALID = "Invalid"
    TOO_MANY_REQUESTS = "TooManyRequests"
    INTERNAL_ERROR = "InternalError"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    TIMEOUT = "Timeout"
    SERVER_TIMEOUT = "ServerTimeout"
    UNKNOWN = ""

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return _CODES[self]


_CODES = {
    Reason.BAD_REQUEST: 400,
    Reason.UNAUTHORIZED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.NOT_ACCEPTABLE: 406,
    Reason.ALREADY_EXISTS: 409,
    Reason.CONFLICT: 409,
    Reason.GONE: 410,
    Reason.EXPIRED: 410,
    Reason.REQUEST_ENTITY_TOO_LARGE: 413,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.INVALID: 422,
    Reason.TOO_MANY_REQUESTS: 429,
    Reason.INTERNAL_ERROR: 500,
    Reason.SERVICE_UNAVAILABLE: 503,
    Reason.TIMEOUT: 504,
    Reason.SERVER_TIMEOUT: 504,
    Reason.UNKNOWN: 500,
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as errors name it: `deployments.apps`."""

    plural: str
    group: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason among several, with the field that it is about."""

    reason: str
    message: str
    field: str = ""

    def to_json(self) -> dict[str, str]:
        """The wire form; an empty field is left out."""
        whole = {"reason": self.reason, "message": self.message, "field": self.field}
        return {key: value for key, value in whole.items() if value}


class ApiError(Exception):
    """A failed request, as its Status object tells it.

    `details` is the Status' `details` without its causes; `retry_after_s` also becomes the Retry-After header.
    """

    default: ClassVar[Reason] = Reason.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        code: int | None = None,
        details: Mapping[str, Any] | None = None,
        causes: Sequence[Cause] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = self.default if reason is None else reason
        self.code = self.reason.code if code is None else code
        self.details = dict(details or {})
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s

    def to_status(self) -> dict[str, Any]:
        """The Status object, with nothing in `details` that is empty."""
        details = {key: value for key, value in self.details.items() if value}
        if self.causes:
            details["causes"] = [cause.to_json() for cause in self.causes]
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = str(self.reason)
        if details:
            status["details"] = details
        return status | {"code": self.code}


class NotFound(ApiError):
    """The object or path is not there."""

    default = Reason.NOT_FOUND


class AlreadyExists(ApiError):
    """An object of that name is there."""

    default = Reason.ALREADY_EXISTS


class Conflict(ApiError):
    """The write does not fit what is stored: read again and retry."""

    default = Reason.CONFLICT


class Invalid(ApiError):
    """The object breaks rules; each cause names a field."""

    default = Reason.INVALID


class Expired(ApiError):
    """The revision asked for is older than the log: list again."""

    default = Reason.EXPIRED


class Unavailable(ApiError):
    """Nobody could answer now."""

    default = Reason.SERVICE_UNAVAILABLE


_CLASSES: dict[Reason, type[ApiError]] = {
    cls.default: cls for cls in (NotFound, AlreadyExists, Conflict, Invalid, Expired, Unavailable)
}


def from_status(status: Mapping[str, Any], code: int) -> ApiError:
    """The error that a Status object tells; `code` is the HTTP status it came with."""
    word = status.get("reason", "")
    reason = Reason(word) if word in set(Reason) else Reason.UNKNOWN
    details = dict(status.get("details") or {})
    causes = [
        Cause(item.get("reason", ""), item.get("message", ""), item.get("field", ""))
        for item in details.pop("causes", None) or ()
    ]
    retry_after_s = details.pop("retryAfterSeconds", None)
    return _CLASSES.get(reason, ApiError)(
        status.get("message", ""),
        reason=reason,
        code=status.get("code") or code,
        details=details,
        causes=causes,
        retry_after_s=retry_after_s,
    )


def _details(resource: Resource, name: str) -> dict[str, str]:
    return {"name": name, "group": resource.group, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> NotFound:
    """No object of that name."""
    return NotFound(f'{resource} "{name}" not found', details=_details(resource, name))


def path_not_found() -> NotFound:
    """No such path: upstream's words for it."""
    return NotFound("the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> AlreadyExists:
    """An object of that name is there."""
    return AlreadyExists(f'{resource} "{name}" already exists', details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Conflict:
    """The write's precondition does not hold; without `why`, a stale resourceVersion."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    return Conflict(f'Operation cannot be fulfilled on {resource} "{name}": {why}', details=_details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> Invalid:
    """The object breaks rules. The message joins the causes as upstream does: one bare, several in brackets."""
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    subject = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return Invalid(
        f'{subject} "{name}" is invalid: {text}',
        details={"name": name, "group": resource.group, "kind": resource.kind},
        causes=causes,
    )


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """Not allowed, by authorisation or admission."""
    subject = f'{resource} "{name}"' if name else str(resource)
    return ApiError(f"{subject} is forbidden: {why}", reason=Reason.FORBIDDEN, details=_details(resource, name))


def bad_request(message: str) -> ApiError:
    """The request can't be understood."""
    return ApiError(message, reason=Reason.BAD_REQUEST)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    """Nobody that the server knows."""
    return ApiError(message, reason=Reason.UNAUTHORIZED)


def method_not_allowed(resource: Resource, verb: str) -> ApiError:
    """The resource is there and does not do that."""
    return ApiError(
        f"{verb} is not supported on resources of kind {str(resource)!r}".replace("'", '"'),
        reason=Reason.METHOD_NOT_ALLOWED,
        details={"group": resource.group, "kind": resource.plural},
    )


def unsupported_media_type(given: str, supported: Sequence[str]) -> ApiError:
    """The body's form is not one that this request takes."""
    return ApiError(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(supported)}"
        if given
        else "a Content-Type is needed",
        reason=Reason.UNSUPPORTED_MEDIA_TYPE,
    )


def expired(message: str) -> Expired:
    """The revision is older than the log."""
    return Expired(message)
