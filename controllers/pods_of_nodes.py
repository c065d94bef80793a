"""The pods of a node by an index: what the controllers of silent nodes, of taints and of lost pods ask for."""

from collections.abc import Iterable, Sequence

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.kinds import POD
from miniplane.runtime import Context, On

_BY_NODE = "spec.nodeName"


def index_by_node(on: On) -> None:
    """Let `pods_of` work in a controller."""
    on.index(POD, _BY_NODE, _node_of)


def _node_of(pod: Object) -> Iterable[str]:
    node = pod["spec"].get("nodeName")
    return (node,) if node else ()


def pods_of(node: Object, ctx: Context) -> Sequence[Object]:
    """The pods that are bound to a Node."""
    return ctx.cache(POD).by_index(_BY_NODE, meta.name(node))
