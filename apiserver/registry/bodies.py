"""Bodies that are stored nowhere: Scale, Binding, Eviction and DeleteOptions, checked against their schemas."""

from miniplane.api.definitions import META, SCALE
from miniplane.api.kind import Kind, Object, Scope
from miniplane.errors import bad_request

from .decoding import Decoder
from .request import Body, FieldValidation


def _body(group: str, kind: str, definition: str) -> Kind:
    return Kind(
        group=group,
        version="v1",
        kind=kind,
        plural=f"{kind.lower()}s",
        scope=Scope.NAMESPACED,
        definition=definition,
    )


SCALE_BODY = _body("autoscaling", "Scale", SCALE)
BINDING = _body("", "Binding", "io.k8s.api.core.v1.Binding")
EVICTION = _body("policy", "Eviction", "io.k8s.api.policy.v1.Eviction")
TOKEN_REQUEST = _body("authentication.k8s.io", "TokenRequest", "io.k8s.api.authentication.v1.TokenRequest")
DELETE_OPTIONS = _body("", "DeleteOptions", f"{META}DeleteOptions")


def read_lenient(
    decoder: Decoder, body: Body, kind: Kind, validation: FieldValidation = FieldValidation.IGNORE
) -> Object:
    """A body of whatever version of its kind: clients name several, or none.

    Raises:
        ApiError: BadRequest, UnsupportedMediaType.
    """
    decoded = decoder.read(body)
    obj = decoded.obj
    if (given := obj.get("kind")) not in (None, "", kind.kind):
        raise bad_request(f"the kind in the data ({given}) does not match the expected kind ({kind.kind})")
    decoder.check(kind, obj, validation, [], decoded.duplicate_fields)
    return obj
