"""The cluster's own pods, as manifests beside this file: DNS and the ingress proxy.

Each manifest is created once where it is missing when the controllers start; later changes by the user stay, as with
the upstream add-on manager's mode EnsureExists. A setting names the add-ons that are wanted.
"""

import contextlib
import string
from collections.abc import Sequence
from pathlib import Path

import yaml

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.config import Network
from miniplane.errors import AlreadyExists, NotFound
from miniplane.kinds import NAMESPACE, REGISTRY
from miniplane.runtime import DONE, Context, On, Result

HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in HERE.glob("*.yaml")))
"""The add-ons that there are."""


def manifests(name: str, network: Network) -> list[Object]:
    """An add-on's objects, with the address plan filled in. Raises KeyError for a name that is none."""
    if name not in NAMES:
        raise KeyError(f"no add-on {name!r}: there are {', '.join(NAMES)}")
    text = string.Template((HERE / f"{name}.yaml").read_text()).substitute(dns_ip=network.dns_ip)
    return list(yaml.safe_load_all(text))


class Addons:
    """The reconciler; keeps what it has not created yet since it started."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._todo = list(objects)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Create what is missing once `kube-system` is there."""
        if key.name != "kube-system" or ctx.cache(NAMESPACE).get(key) is None:
            return DONE
        while self._todo:
            wanted = self._todo[0]
            kind = REGISTRY.by_kind(wanted["apiVersion"], wanted["kind"])
            assert kind is not None
            await _ensure(kind, wanted, ctx)
            self._todo.pop(0)
        return DONE


async def _ensure(kind: Kind, wanted: Object, ctx: Context) -> None:
    """Create an object unless it is there.

    Asked first: a Service that names its address is refused for that address before its name is looked at.
    """
    key = meta.key_of(wanted)
    try:
        await ctx.client.get(kind, key.name, key.namespace)
    except NotFound:
        with contextlib.suppress(AlreadyExists):
            await ctx.client.create(kind, wanted)


def controller(names: Sequence[str], network: Network) -> On:
    """The controller for the wanted add-ons."""
    on = On("addons", workers=1)
    objects = [item for name in names for item in manifests(name, network)]
    on.reconcile(NAMESPACE)(Addons(objects).reconcile)
    return on
