"""Authorisation: administrators may do all; nodes what the node authoriser says; everybody what RBAC allows.

Upstream's order of authorisers: `system:masters`, Node, RBAC; the first that allows decides.
"""

from dataclasses import dataclass, replace

from miniplane.errors import ApiError, Reason, Resource, forbidden

from ..store.base import Store
from .identity import Action, User
from .nodes import Nodes
from .rbac.index import Rbac
from .rbac.rules import EVERYTHING, Rule

_STREAMS = frozenset(("exec", "attach", "portforward"))
_KUBELET_STREAMS = ("exec", "attach", "portforward", "run", "cri")


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and why where somebody can say."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides by user and action alone."""

    def __init__(self, store: Store) -> None:
        self.rbac = Rbac(store)
        self._nodes = Nodes(store)

    def allows(self, user: User, action: Action) -> bool:
        """Whether the user may: microseconds, for every request asks."""
        return (
            user.is_admin
            or (user.node != "" and self._nodes.check(user.node, action)[0])
            or self.rbac.allows(user, action)
        )

    def check(self, user: User, action: Action) -> None:
        """Nothing if the user may.

        Opening a stream into a pod is `create` however it is asked for: reading alone must not be enough to run
        commands (upstream's AuthorizePodWebsocketUpgradeCreatePermission).

        Raises:
            ApiError: Forbidden, in upstream's words.
        """
        self._require(user, action)
        if action.verb == "get" and action.subresource and _is_stream(action):
            self._require(user, replace(action, verb="create"))

    def _require(self, user: User, action: Action) -> None:
        if not self.allows(user, action):
            raise refusal(user, action, self.decide(user, action).reason)

    def decide(self, user: User, action: Action) -> Decision:
        """The answer with its reason: for reviews and refusals."""
        if user.is_admin:
            return Decision(allowed=True)
        reasons = []
        if user.node:
            allowed, why = self._nodes.check(user.node, action)
            if allowed:
                return Decision(allowed=True, reason=why)
            reasons.append(why)
        allowed = self.rbac.allows(user, action)
        reasons.append(self.rbac.explain(user, action))
        if allowed:
            return Decision(allowed=True, reason=reasons[-1])
        return Decision(allowed=False, reason="\n".join(filter(None, reasons)))

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """What the user may do in a namespace, as far as rules say it."""
        held = list(EVERYTHING) if user.is_admin else []
        return held + self.rbac.rules(user, namespace)


def _is_stream(action: Action) -> bool:
    """Whether a read runs or reaches something in a pod, by the API server's own paths or a kubelet's behind it."""
    if action.resource == "pods":
        return action.subresource in _STREAMS
    if (action.resource, action.subresource) != ("nodes", "proxy"):
        return False
    return action.path.partition("/proxy/")[2].lower().startswith(tuple(f"{stream}/" for stream in _KUBELET_STREAMS))


def refusal(user: User, action: Action, why: str) -> ApiError:
    """The Forbidden that tells a user what may not be done."""
    reason = f": {why}" if why else ""
    if not action.resource:
        text = f'forbidden: User "{user.name}" cannot {action.verb} path "{action.path}"{reason}'
        return ApiError(text, reason=Reason.FORBIDDEN)
    resource = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    scope = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    text = (
        f'User "{user.name}" cannot {action.verb} resource "{resource}" in API group "{action.group}" {scope}{reason}'
    )
    return forbidden(Resource(action.resource, action.group), action.name, text)
