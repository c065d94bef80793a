"""Identities and what they ask for."""

from dataclasses import dataclass, field

from miniplane.api.kind import Object

MASTERS = "system:masters"
NODES = "system:nodes"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
ACCOUNT_PREFIX = "system:serviceaccount:"
NODE_PREFIX = "system:node:"
CONTROLLERS = "system:kube-controller-manager"


@dataclass(frozen=True, slots=True)
class User:
    """Who makes a request."""

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What else is known of the user, as `(key, values)`: which token was shown, which pod shows it."""
    node: str = field(init=False, default="")
    """The node that this identity belongs to; empty for everybody else."""
    is_admin: bool = field(init=False, default=False)
    """Whether the user is in `system:masters`."""

    def __post_init__(self) -> None:
        if NODES in self.groups and self.name.startswith(NODE_PREFIX):
            object.__setattr__(self, "node", self.name.removeprefix(NODE_PREFIX))
        object.__setattr__(self, "is_admin", MASTERS in self.groups)

    @property
    def info(self) -> Object:
        """The user as UserInfo objects tell it."""
        info: Object = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        info["groups"] = sorted(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ANONYMOUS = User("system:anonymous", frozenset({UNAUTHENTICATED}))
LOCAL_ADMIN = User("system:local", frozenset({MASTERS, AUTHENTICATED}))
"""Whoever can open the Unix socket, and everybody where plain HTTP was asked for."""
SERVER = User("system:apiserver", frozenset({MASTERS, AUTHENTICATED}))
"""The API server itself, when it makes the objects that a cluster starts with."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked: a verb on a resource, or on a path where `resource` is empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    label_selector: str = ""
    field_selector: str = ""
