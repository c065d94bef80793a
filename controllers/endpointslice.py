"""EndpointSlices for Services with a selector, changed as little as possible.

A Service's slices follow its pods: one set of slices per address family and per distinct list of ports, at most 100
endpoints each. Slices whose endpoints still fit are left alone, changed ones are filled first, then the fullest with
room, then new ones; endpoints are never moved to tidy up. Upstream: pkg/controller/endpointslice.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.dataplane.endpoints import Port, families_of, grouped
from miniplane.kinds import ENDPOINT_SLICE, NODE, POD, SERVICE
from miniplane.runtime import DONE, Context, On, Result

from .endpoints_of_pods import REST, SELECTED, selected, services_of_pod

MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100
"""Upstream's --max-endpoints-per-slice: a slice stays about 30 KB, so one pod's change is a small message."""
HEADLESS = "service.kubernetes.io/headless"

on = On("endpointslice", reads=[NODE], component="endpoint-slice-controller")
on.index(SERVICE, SELECTED, selected)


@dataclass(slots=True)
class Plan:
    """What to write. `create` and `update` hold whole slices; everything else stays as it is."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def _port_key(slice_: Object) -> tuple[Port, ...]:
    return tuple(
        Port(port.get("name", ""), port.get("protocol", "TCP"), port["port"], port.get("appProtocol"))
        for port in slice_.get("ports") or ()
    )


def _identity(endpoint: Object) -> tuple[str, str]:
    return endpoint["addresses"][0], (endpoint.get("targetRef") or {}).get("uid", "")


def _suffix(service: Object, taken: set[str]) -> str:
    """A name that a repeat of the same step would choose again, so that the server refuses the second one."""
    number = 0
    while True:
        digest = hashlib.blake2b(f"{meta.uid(service)}/{number}".encode(), digest_size=5).hexdigest()
        word = "".join("bcdfghjklmnpqrstvwxz2456789"[int(digest[i : i + 2], 16) % 27] for i in range(0, 10, 2))
        name = f"{meta.name(service)[:57]}-{word}"
        if name not in taken:
            return name
        number += 1


@dataclass(slots=True)
class _Bin:
    """A slice being filled; `slice_` is None for a new one."""

    slice_: Object | None
    endpoints: list[Object]
    changed: bool = True

    @property
    def room(self) -> int:
        return MAX_ENDPOINTS - len(self.endpoints)


def _fill(existing: Sequence[Object], wanted: Iterable[Object]) -> list[_Bin]:
    """Distribute endpoints of one port list over its slices, old ones first."""
    todo = {_identity(endpoint): endpoint for endpoint in wanted}
    bins: list[_Bin] = []
    for slice_ in existing:
        now = slice_.get("endpoints") or []
        kept = [todo.pop(_identity(old)) for old in now if _identity(old) in todo]
        bins.append(_Bin(slice_, kept, changed=kept != now))
    rest = list(todo.values())
    for bin_ in sorted((b for b in bins if b.changed), key=lambda b: b.room):
        taken, rest = rest[: bin_.room], rest[bin_.room :]
        bin_.endpoints += taken
    if rest and (fitting := [b for b in bins if not b.changed and len(rest) <= b.room]):
        best = min(fitting, key=lambda b: b.room)
        best.endpoints, best.changed, rest = [*best.endpoints, *rest], True, []
    bins += [_Bin(None, rest[i : i + MAX_ENDPOINTS]) for i in range(0, len(rest), MAX_ENDPOINTS)]
    return bins


def _labels(service: Object) -> dict[str, str]:
    labels = {**meta.labels(service)}
    labels |= {wellknown.SERVICE_NAME: meta.name(service), wellknown.ENDPOINTSLICE_MANAGED_BY: MANAGER}
    labels.pop(HEADLESS, None)
    return labels | ({HEADLESS: ""} if service["spec"].get("clusterIP") == "None" else {})


def plan(service: Object, pods: Iterable[Object], nodes: dict[str, Object], slices: Iterable[Object]) -> Plan:
    """The writes that bring a Service's own slices (`slices`) in line with its selected pods."""
    pods, result = list(pods), Plan()
    by_group: dict[tuple[str, tuple[Port, ...]], list[Object]] = {}
    for slice_ in sorted(slices, key=meta.name):
        by_group.setdefault((slice_["addressType"], _port_key(slice_)), []).append(slice_)
    taken = {meta.name(slice_) for group in by_group.values() for slice_ in group}
    for family in families_of(service):
        groups = grouped(service, pods, nodes, family) or {(): []}
        for ports, endpoints in groups.items():
            existing = by_group.pop((family, ports), [])
            for bin_ in _fill(existing, endpoints) or [_Bin(None, [])]:
                _settle(result, bin_, _Shape(service, family, ports), taken, keep_empty=not endpoints)
    result.delete += [slice_ for group in by_group.values() for slice_ in group]
    return result


@dataclass(frozen=True, slots=True)
class _Shape:
    service: Object
    family: str
    ports: tuple[Port, ...]

    def body(self, name: str, endpoints: list[Object], old: Object | None) -> Object:
        service = self.service
        metadata: dict[str, Any] = {**old["metadata"]} if old else {"namespace": meta.namespace(service), "name": name}
        metadata["labels"] = _labels(service)
        if not old:
            metadata["generateName"] = f"{meta.name(service)}-"
            metadata["ownerReferences"] = [meta.owner_reference(service, kind=SERVICE)]
        return {
            "apiVersion": ENDPOINT_SLICE.api_version,
            "kind": ENDPOINT_SLICE.kind,
            "metadata": metadata,
            "addressType": self.family,
            "ports": [port.to_json() for port in self.ports],
            "endpoints": endpoints,
        }


def _settle(result: Plan, bin_: _Bin, shape: _Shape, taken: set[str], *, keep_empty: bool) -> None:
    """Turn a filled bin into a write, or none; one empty slice stays where a Service has no endpoints."""
    old = bin_.slice_
    if old is None:
        name = _suffix(shape.service, taken)
        taken.add(name)
        result.create.append(shape.body(name, bin_.endpoints, None))
    elif not bin_.endpoints and not keep_empty:
        result.delete.append(old)
    elif bin_.changed or meta.labels(old) != _labels(shape.service):
        result.update.append(shape.body(meta.name(old), bin_.endpoints, old))


def service_of_slice(slice_: Object, _ctx: Context) -> Iterable[Key]:
    """The Service that a slice of ours belongs to."""
    labels = meta.labels(slice_)
    if labels.get(wellknown.ENDPOINTSLICE_MANAGED_BY) == MANAGER and (name := labels.get(wellknown.SERVICE_NAME)):
        yield Key(meta.namespace(slice_), name)


def has_slices(service: Object) -> bool:
    """Whether a Service's endpoints are the pods that it selects; an ExternalName one is only another name."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


@on.reconcile(SERVICE, also=[on.mapped(POD, services_of_pod), on.mapped(ENDPOINT_SLICE, service_of_slice)], rest=REST)
async def endpoint_slices(key: Key, ctx: Context) -> Result:
    """Bring the slices of one Service in line with its pods."""
    service = ctx.cache(SERVICE).get(key)
    if service is None or not has_slices(service) or meta.is_deleted(service):
        return DONE  # a deleted Service's slices go by owner reference, hand-made ones are not ours
    selector = LabelSelector.from_map(service["spec"]["selector"])
    pods = ctx.cache(POD).list(key.namespace, selector)
    nodes = {meta.name(node): node for node in ctx.cache(NODE).list()}
    own = LabelSelector.from_map({wellknown.SERVICE_NAME: key.name, wellknown.ENDPOINTSLICE_MANAGED_BY: MANAGER})
    writes = plan(service, pods, nodes, ctx.cache(ENDPOINT_SLICE).list(key.namespace, own))
    for slice_ in writes.create:
        await ctx.client.create(ENDPOINT_SLICE, slice_)
    for slice_ in writes.update:
        await ctx.client.update(ENDPOINT_SLICE, slice_)
    for slice_ in writes.delete:
        await ctx.client.delete(ENDPOINT_SLICE, meta.key_of(slice_), uid=meta.uid(slice_))
    return DONE
