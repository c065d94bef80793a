"""Nobody hands out what they don't have: the checks on writes of roles and bindings.

Upstream: pkg/registry/rbac (policybased storages and escalation_check.go). They are made here as an admission plugin
that comes first, so that it sees what is about to be stored.
"""

from collections.abc import Sequence
from typing import Protocol

from miniplane.api.kind import Object

from ..identity import Action, User
from .index import GROUP, Rbac
from .rules import EVERYTHING, Rule, compact, describe, missing, parse, quoted


class Authorizes(Protocol):
    """Whoever can say whether an action is allowed."""

    def allows(self, user: User, action: Action) -> bool:
        """Whether the user may."""


class Escalation:
    """The checks."""

    def __init__(self, rbac: Rbac, authorizer: Authorizes) -> None:
        self._rbac = rbac
        self._authorizer = authorizer

    def why_not(self, user: User, plural: str, namespace: str, name: str, new: Object, old: Object | None) -> str:
        """Why the user may not store a role or binding; empty where they may.

        Raises:
            NotFound: A binding to a role that is not there, by somebody who may not bind it unseen.
        """
        if user.is_admin or (old is not None and _same(new, old)):
            return ""
        if plural.endswith("bindings"):
            return self._binding(user, new.get("roleRef") or {}, namespace)
        asked = Action("escalate", GROUP, plural, namespace=namespace, name=name)
        if self._authorizer.allows(user, asked):
            return ""
        if new.get("aggregationRule") or (old or {}).get("aggregationRule"):
            if missing(self._rbac.rules(user, ""), EVERYTHING):
                return "must have cluster-admin privileges to use an aggregationRule"
            return ""
        return self._unheld(user, namespace, parse(new.get("rules")))

    def _binding(self, user: User, reference: Object, namespace: str) -> str:
        plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
        asked = Action("bind", GROUP, plural, namespace=namespace, name=reference.get("name", ""))
        if self._authorizer.allows(user, asked):
            return ""
        return self._unheld(user, namespace, self._rbac.role(reference, namespace))

    def _unheld(self, user: User, namespace: str, wanted: Sequence[Rule]) -> str:
        lacking = missing(self._rbac.rules(user, namespace), wanted)
        if not lacking:
            return ""
        lines = "\n".join(sorted(describe(rule) for rule in compact(lacking)))
        text = (
            f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not currently '
            f"held:\n{lines}"
        )
        if errors := self._rbac.errors(user, namespace):
            text += f"; resolution errors: [{', '.join(error.message for error in errors)}]"
        return text


def _same(new: Object, old: Object) -> bool:
    """Whether nothing changes that grants anything: metadata is everybody's who may update."""
    return all(
        (new.get(key) or None) == (old.get(key) or None) for key in ("rules", "aggregationRule", "roleRef", "subjects")
    )
