"""ResourceQuota: what is made in a namespace must fit beside what is there.

Usage is counted from what is stored and from what is being stored, not from the quota's status, so it is exact at
once; the controller writes the status. Several API servers on one database may each let one more through.
Upstream: plugin/pkg/admission/resourcequota.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from miniplane.api.kind import Object
from miniplane.errors import forbidden
from miniplane.kinds.podspec.demand import ZERO, Amounts, add
from miniplane.kinds.usage import hard, lacking, plain, under, usage

from ..store.base import Store
from .chain import Attributes, Operation, Plugin

COUNT = "count/"


def resources_of(limits: Amounts) -> set[str]:
    """The resources, as stores name them, whose objects count towards some limits."""
    found: set[str] = set()
    for name in limits:
        if name.startswith(COUNT):
            plural, _, group = name.removeprefix(COUNT).partition(".")
            found.add(f"{group}/{plural}")
        elif name.startswith("services"):
            found.add("/services")
        elif ("storage" in name and "ephemeral" not in name) or name == "persistentvolumeclaims":
            found.add("/persistentvolumeclaims")
        elif name in ("replicationcontrollers", "resourcequotas", "secrets", "configmaps"):
            found.add(f"/{name}")
        else:
            found.add("/pods")
    return found


@dataclass(slots=True)
class Quotas:
    """The check of one server, with the writes that it has let through and that are not stored yet."""

    _coming: dict[int, tuple[str, str, Object, Object | None]] = field(default_factory=dict)

    def check(self, attributes: Attributes) -> None:
        """Refuse what does not fit; else count it until its request is over."""
        obj, namespace = attributes.obj, attributes.namespace
        assert obj is not None
        found = attributes.store.list("/resourcequotas", namespace).entries if namespace else ()
        if not found:
            return
        resource = plain(attributes.resource)
        for entry in sorted(found, key=lambda entry: entry.key.name):
            self._fits(entry.obj, resource, attributes)
        token = id(attributes)
        self._coming[token] = (namespace, resource, obj, attributes.old)
        attributes.afterwards.append(lambda: self._coming.pop(token, None))

    def _fits(self, quota: Object, resource: str, attributes: Attributes) -> None:
        obj, old = attributes.obj, attributes.old
        assert obj is not None
        if not under(quota, resource, obj):
            return
        name, limits = quota["metadata"]["name"], hard(quota)
        if old is None and resource == "pods" and (missing := lacking(quota, obj)):
            told = "; ".join(f"{key} for: {','.join(missing[key])}" for key in sorted(missing))
            raise forbidden(attributes.kind.resource, attributes.name, f"failed quota: {name}: must specify {told}")
        more = _delta(quota, resource, obj, old)
        rising = {key: amount for key, amount in more.items() if key in limits and amount > ZERO}
        if not rising:
            return
        used = self._used(quota, limits, attributes.store, attributes.namespace)
        over = sorted(key for key, amount in rising.items() if used.get(key, ZERO) + amount > limits[key])
        if over:
            told = ", ".join(
                f"{word}: {','.join(f'{key}={amounts.get(key, ZERO)}' for key in over)}"
                for word, amounts in (("requested", rising), ("used", used), ("limited", limits))
            )
            raise forbidden(attributes.kind.resource, attributes.name, f"exceeded quota: {name}, {told}")

    def _used(self, quota: Object, limits: Amounts, store: Store, namespace: str) -> Amounts:
        used: Amounts = {}
        stored: set[tuple[str, str]] = set()
        for resource in resources_of(limits):
            for entry in store.list(resource, namespace).entries:
                stored.add((plain(resource), entry.obj["metadata"]["uid"]))
                if under(quota, plain(resource), entry.obj):
                    add(used, usage(plain(resource), entry.obj))
        for where, resource, obj, old in self._coming.values():
            is_new = old is None and (resource, obj["metadata"].get("uid", "")) not in stored
            if where == namespace and (is_new or old is not None):
                add(used, _delta(quota, resource, obj, old))
        return used


def _delta(quota: Object, resource: str, obj: Object, old: Object | None) -> Amounts:
    """What a write adds under a quota."""
    more = usage(resource, obj) if under(quota, resource, obj) else {}
    if old is not None and under(quota, resource, old):
        add(more, {name: -amount for name, amount in usage(resource, old).items()})
    return more


def plugin() -> Plugin:
    """The plugin of one server; the last to be asked, so that what others refuse is not counted."""
    quotas = Quotas()
    check: Callable[[Attributes], None] = quotas.check
    return Plugin("ResourceQuota", operations=frozenset((Operation.CREATE, Operation.UPDATE)), validate=check)
