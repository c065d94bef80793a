"""RBACEscalation: who writes a role or a binding must hold what it grants. Upstream checks this in the storage."""

from miniplane.errors import forbidden

from ..auth.rbac.escalation import Escalation
from .chain import Attributes, Operation, Plugin

_GROUP = "rbac.authorization.k8s.io"
_PLURALS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")


def plugin(escalation: Escalation) -> Plugin:
    """The plugin over the checks of one server."""

    def check(attributes: Attributes) -> None:
        assert attributes.obj is not None
        why = escalation.why_not(
            attributes.user,
            attributes.kind.plural,
            attributes.namespace,
            attributes.name,
            attributes.obj,
            attributes.old,
        )
        if why:
            raise forbidden(attributes.kind.resource, attributes.name, why)

    return Plugin(
        "RBACEscalation",
        operations=frozenset((Operation.CREATE, Operation.UPDATE)),
        resources=frozenset(f"{plural}.{_GROUP}" for plural in _PLURALS),
        validate=check,
    )
