"""Endpoints (v1), the old single-object form of a Service's endpoints, for clients that still read it.

Upstream: pkg/controller/endpoint; the API is deprecated since 1.33 and truncated at 1,000 addresses.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.dataplane.endpoints import backs, families_of, grouped
from miniplane.errors import NotFound
from miniplane.kinds import ENDPOINTS, POD, SERVICE
from miniplane.runtime import DONE, Context, On, Result

from .endpoints_of_pods import REST, SELECTED, selected, services_of_pod

LIMIT = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}

on = On("endpoints", component="endpoint-controller")
on.index(SERVICE, SELECTED, selected)


def _address(endpoint: Object) -> Object:
    address: dict[str, Any] = {"ip": endpoint["addresses"][0]}
    address |= {key: endpoint[key] for key in ("hostname", "nodeName", "targetRef") if key in endpoint}
    return address


def subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The Service's addresses by port list, ready and not ready apart, each sorted by address."""
    made = []
    for ports, endpoints in grouped(service, pods, {}, families_of(service)[0]).items():
        if not ports and service["spec"].get("ports"):
            continue
        subset: dict[str, Any] = {}
        ordered = sorted(endpoints, key=lambda endpoint: str(endpoint["addresses"][0]))[:LIMIT]
        for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
            found = [
                _address(endpoint)
                for endpoint in ordered
                if endpoint["conditions"]["ready"] is wanted and (wanted or not endpoint["conditions"]["terminating"])
            ]
            if found:
                subset[field] = found
        if subset:
            subset["ports"] = [port.to_json() if port.name else _unnamed(port.to_json()) for port in ports]
            made.append(subset)
    return sorted(made, key=lambda subset: str(subset["ports"]))


def _unnamed(port: Object) -> Object:
    return {key: value for key, value in port.items() if key != "name"}


def wanted_of(service: Object, pods: Sequence[Object], old: Object | None) -> Object:
    """The Endpoints that a Service should have; what is not ours in the `old` ones stays."""
    before: Object = old or {"apiVersion": "v1", "kind": "Endpoints", "metadata": {}}
    metadata: Object = {
        **before["metadata"],
        "namespace": meta.namespace(service),
        "name": meta.name(service),
        "labels": {**meta.labels(service), **MANAGED_BY},
    }
    annotations = {name: text for name, text in metadata.pop("annotations", {}).items() if name != OVER_CAPACITY}
    if sum(backs(pod) for pod in pods) > LIMIT:
        annotations[OVER_CAPACITY] = "truncated"
    if annotations:
        metadata["annotations"] = annotations
    return {**before, "metadata": metadata, "subsets": subsets(service, pods)}


@on.reconcile(SERVICE, also=[on.mapped(POD, services_of_pod), on.named(ENDPOINTS)], rest=REST)
async def endpoints(key: Key, ctx: Context) -> Result:
    """Bring the Endpoints of one Service in line with its pods; they share the Service's name."""
    service, old = ctx.cache(SERVICE).get(key), ctx.cache(ENDPOINTS).get(key)
    if service is None:
        if old is not None and meta.labels(old).items() >= MANAGED_BY.items():
            try:
                await ctx.client.delete(ENDPOINTS, key, uid=meta.uid(old))
            except NotFound:
                return DONE
        return DONE
    if not service["spec"].get("selector") or meta.is_deleted(service):
        return DONE
    pods = ctx.cache(POD).list(key.namespace, LabelSelector.from_map(service["spec"]["selector"]))
    wanted = wanted_of(service, pods, old)
    if old is None:
        await ctx.client.create(ENDPOINTS, wanted)
    elif wanted != {"subsets": [], **old}:
        await ctx.client.update(ENDPOINTS, wanted)
    return DONE
