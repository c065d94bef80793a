"""The admission chain: what a plugin is, and the ordered list of them applied to a write."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from miniplane.api.kind import Kind, Object

from ..auth.identity import User
from ..store.base import Store


class Operation(StrEnum):
    """What a write does to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(slots=True)
class Attributes:
    """A write as plugins see it. Mutating plugins change `obj` in place; `old` is shared and read-only.

    `obj` is None on DELETE, `old` on CREATE. `store` answers from memory.
    """

    operation: Operation
    kind: Kind
    namespace: str
    name: str
    user: User
    store: Store
    subresource: str = ""
    obj: Object | None = None
    old: Object | None = None
    warnings: list[str] = field(default_factory=list)
    afterwards: list[Callable[[], object]] = field(default_factory=list)
    """Called once the write is stored or has failed."""
    dry_run: bool = False
    called: dict[str, bytes] = field(default_factory=dict)
    """The object as each webhook left it."""
    is_reshaped: bool = False
    """Whether a webhook changed the object: then every mutating plugin is asked once more."""
    is_second_round: bool = False

    @property
    def resource(self) -> str:
        """The resource as the store names it."""
        return f"{self.kind.group}/{self.kind.plural}"

    def finish(self) -> None:
        """The write is over."""
        for call in self.afterwards:
            call()


Hook = Callable[[Attributes], Awaitable[None] | None]
"""Gives something to wait for only if there is: most writes ask nobody outside of the server."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An admission plugin. Its hooks return nothing or raise an ApiError.

    `resources` are plurals with group (`pods`, `ingresses.networking.k8s.io`), `*` for all; `subresources` likewise,
    with the empty name for the object itself.
    """

    name: str
    operations: frozenset[Operation]
    resources: frozenset[str] = frozenset(("*",))
    subresources: frozenset[str] = frozenset(("",))
    mutate: Hook | None = None
    validate: Hook | None = None

    def handles(self, attributes: Attributes) -> bool:
        """Whether the plugin wants to see such a write."""
        return (
            attributes.operation in self.operations
            and ("*" in self.resources or str(attributes.kind.resource) in self.resources)
            and ("*" in self.subresources or attributes.subresource in self.subresources)
        )


class Chain:
    """Plugins in order. Which of them a kind of write concerns is worked out once."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._hooks: dict[tuple[str, str, str, str], tuple[tuple[Hook, ...], tuple[Hook, ...]]] = {}

    def _for(self, attributes: Attributes) -> tuple[tuple[Hook, ...], tuple[Hook, ...]]:
        kind = attributes.kind
        key = (attributes.operation, kind.group, kind.plural, attributes.subresource)
        hooks = self._hooks.get(key)
        if hooks is None:
            chosen = [plugin for plugin in self._plugins if plugin.handles(attributes)]
            hooks = self._hooks[key] = (
                tuple(plugin.mutate for plugin in chosen if plugin.mutate),
                tuple(plugin.validate for plugin in chosen if plugin.validate),
            )
        return hooks

    async def mutate(self, attributes: Attributes) -> None:
        """Let every mutating plugin have its say, in order, and once more if a webhook changed the object."""
        hooks = self._for(attributes)[0]
        await _ask(hooks, attributes)
        if attributes.is_reshaped:
            attributes.is_second_round = True
            await _ask(hooks, attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Ask every validating plugin, in order; the first refusal is raised."""
        await _ask(self._for(attributes)[1], attributes)


async def _ask(hooks: Sequence[Hook], attributes: Attributes) -> None:
    for hook in hooks:
        waiting = hook(attributes)
        if waiting is not None:
            await waiting
