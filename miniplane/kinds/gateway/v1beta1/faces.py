"""How objects are shown in v1beta1 and read from it: only the version's name differs."""

from miniplane.api.kind import Object
from miniplane.kinds.gateway.schemas import GROUP


def show(stored: Object) -> Object:
    """The object as v1beta1 has it."""
    return {**stored, "apiVersion": f"{GROUP}/v1beta1"}


def read(given: Object) -> Object:
    """The object as it is stored."""
    return {**given, "apiVersion": f"{GROUP}/v1"}
