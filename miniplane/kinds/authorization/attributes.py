"""What access reviews ask: exactly one thing to do, with a resource or with a path.

Upstream: pkg/apis/authorization/validation.
"""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError, Path, invalid
from miniplane.kinds.fields import is_set, shown, strings, text

_SPEC = Path("spec")


def attributes_errors(spec: Object) -> Iterator[FieldError]:
    """The errors of what is asked."""
    resource, path = is_set(spec, "resourceAttributes"), is_set(spec, "nonResourceAttributes")
    if resource and path:
        where, why = "nonResourceAttributes", "cannot be specified in combination with resourceAttributes"
        yield invalid(_SPEC / where, shown(spec[where]), why)
    elif not resource and not path:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid(_SPEC / "resourceAttributes", None, why)


def subject_errors(spec: Object) -> Iterator[FieldError]:
    """The same, and of whom it is asked."""
    yield from attributes_errors(spec)
    if not strings(spec, "groups") and not text(spec, "user"):
        yield invalid(_SPEC / "user", "", "at least one of user or group must be specified")


def local_errors(spec: Object) -> Iterator[FieldError]:
    """The same, inside of a namespace."""
    yield from subject_errors(spec)
    if is_set(spec, "nonResourceAttributes"):
        yield invalid(
            _SPEC / "nonResourceAttributes", shown(spec["nonResourceAttributes"]), "disallowed on this kind of request"
        )
