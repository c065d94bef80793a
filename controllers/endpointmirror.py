"""EndpointSlices that repeat hand-made Endpoints, for the data path, which reads slices only.

Mirrored are the Endpoints of a Service without selector, one slice per address family and list of ports. Those with the
label `endpointslice.kubernetes.io/skip-mirror: "true"` are not, nor those that hold a leader election.
Upstream: pkg/controller/endpointslicemirroring.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.errors import NotFound
from miniplane.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE
from miniplane.runtime import DONE, Context, On, Result

MANAGER = "endpointslicemirroring-controller.k8s.io"
LIMIT = 1000
"""Upstream's --mirroring-max-endpoints-per-subset, which is also what a slice can hold."""
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
_NOT_COPIED = (wellknown.LAST_APPLIED, "endpoints.kubernetes.io/last-change-trigger-time")

on = On("endpointslicemirroring", component="endpoint-slice-mirroring-controller")


@dataclass(slots=True)
class Mirror:
    """The slices wanted, by name, and how many addresses do not get into one."""

    slices: dict[str, Object] = field(default_factory=dict)
    too_many: int = 0
    invalid: int = 0


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """Whether slices repeat these Endpoints: a Service without selector has the name, and nothing forbids it."""
    if endpoints is None or service is None or meta.is_deleted(endpoints) or service["spec"].get("selector"):
        return False
    return meta.labels(endpoints).get(SKIP) != "true" and LEADER not in meta.annotations(endpoints)


def _family(address: Object) -> str:
    try:
        return f"IPv{ip_address(address.get('ip', '')).version}"
    except ValueError:
        return ""


def _endpoint(address: Object, *, ready: bool) -> Object:
    endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return endpoint | {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}


def _ports(subset: Object) -> list[Object]:
    return [{"name": "", "protocol": "TCP"} | port for port in subset.get("ports") or ()]


def mirrored(endpoints: Object) -> Mirror:
    """What to have for hand-made Endpoints. A slice's name follows from its family and ports, so it is found again."""
    made = Mirror()
    for subset in endpoints.get("subsets") or ():
        ports = _ports(subset)
        for listed, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(listed) or ():
                family = _family(address)
                if not family:
                    made.invalid += 1
                    continue
                slice_ = _slice(endpoints, family, ports)
                into = made.slices.setdefault(meta.name(slice_), slice_)["endpoints"]
                if len(into) < LIMIT:
                    into.append(_endpoint(address, ready=ready))
                else:
                    made.too_many += 1
    return made


def _slice(endpoints: Object, family: str, ports: list[Object]) -> Object:
    identity = json.dumps([meta.uid(endpoints), family, ports], sort_keys=True)
    digest = hashlib.blake2b(identity.encode(), digest_size=5).hexdigest()
    own = {wellknown.SERVICE_NAME: meta.name(endpoints), wellknown.ENDPOINTSLICE_MANAGED_BY: MANAGER}
    annotations = {name: text for name, text in meta.annotations(endpoints).items() if name not in _NOT_COPIED}
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "namespace": meta.namespace(endpoints),
            "name": f"{meta.name(endpoints)[:52]}-{digest}",
            "labels": {**meta.labels(endpoints), **own},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [meta.owner_reference(endpoints, kind=ENDPOINTS)],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": [],
    }


def merged(old: Object, wanted: Object) -> Object:
    """The object to write over `old`, equal to it where nothing has changed."""
    ours = wanted["metadata"]
    metadata = {name: value for name, value in old["metadata"].items() if name != "annotations"}
    return {**old, **wanted, "metadata": metadata | ours}


def service_of_slice(slice_: Object, _ctx: Context) -> Iterable[Key]:
    """The Service that a slice of ours belongs to."""
    labels = meta.labels(slice_)
    if labels.get(wellknown.ENDPOINTSLICE_MANAGED_BY) == MANAGER and (name := labels.get(wellknown.SERVICE_NAME)):
        yield Key(meta.namespace(slice_), name)


@on.reconcile(ENDPOINTS, also=[on.named(SERVICE), on.mapped(ENDPOINT_SLICE, service_of_slice)])
async def mirror(key: Key, ctx: Context) -> Result:
    """Bring the slices that repeat one Endpoints object in line with it; there are none where it is not mirrored."""
    endpoints, service = ctx.cache(ENDPOINTS).get(key), ctx.cache(SERVICE).get(key)
    wanted = mirrored(endpoints) if endpoints and is_mirrored(endpoints, service) else Mirror()
    own = LabelSelector.from_map({wellknown.SERVICE_NAME: key.name, wellknown.ENDPOINTSLICE_MANAGED_BY: MANAGER})
    there = {meta.name(slice_): slice_ for slice_ in ctx.cache(ENDPOINT_SLICE).list(key.namespace, own)}
    wrote = False
    for name, slice_ in wanted.slices.items():
        old = there.pop(name, None)
        if old is None:
            await ctx.client.create(ENDPOINT_SLICE, slice_)
            wrote = True
        elif (new := merged(old, slice_)) != old:
            await ctx.client.update(ENDPOINT_SLICE, new)
            wrote = True
    for slice_ in there.values():
        try:
            await ctx.client.delete(ENDPOINT_SLICE, meta.key_of(slice_), uid=meta.uid(slice_))
        except NotFound:
            continue
    if endpoints is not None and wrote:
        _tell(endpoints, wanted, ctx)
    return DONE


def _tell(endpoints: Object, wanted: Mirror, ctx: Context) -> None:
    if wanted.too_many:
        text = f"A max of {LIMIT} addresses can be mirrored to EndpointSlices per Endpoints subset."
        text += f" {wanted.too_many} addresses were skipped"
        ctx.event(endpoints, "Warning", "TooManyAddressesToMirror", text)
    if wanted.invalid:
        text = f"Skipped {wanted.invalid} invalid IP addresses when mirroring to EndpointSlices"
        ctx.event(endpoints, "Warning", "InvalidIPAddress", text)
