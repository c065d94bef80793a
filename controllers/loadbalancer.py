"""LoadBalancer Services get an address out of a pool, and a node that answers for it.

One address per Service; a wish in `spec.loadBalancerIP` is met if the address is in the pool and free. The node is
chosen among the ready ones by the address, so that addresses spread and stay where they are (MetalLB's layer-2 mode).
Upstream: the service controller of a cloud provider.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.config import Network
from miniplane.kinds import NODE, SERVICE
from miniplane.runtime import DONE, Context, On, Result, again

Address = IPv4Address | IPv6Address
RETRY_S = 30.0
"""A Service that found the pool empty is tried again after this."""


def is_ours(service: Object) -> bool:
    """Whether a Service asks this controller for an address: a loadBalancerClass names another."""
    return service["spec"].get("type") == "LoadBalancer" and not service["spec"].get("loadBalancerClass")


def addresses_of(service: Object) -> list[str]:
    """The addresses in a Service's status."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [item["ip"] for item in ingress if item.get("ip")]


def choose(pool: str, taken: Iterable[str], wish: str = "") -> Address | str:
    """A free address of the pool, lowest first, or why there is none. Buggy clients refuse .0 and .255: not given."""
    network, used = ip_network(pool), {ip_address(text) for text in taken}
    if wish:
        try:
            wanted = ip_address(wish)
        except ValueError:
            return f"{wish!r} is not an address"
        if wanted not in network:
            return f"{wish} is not in the pool {pool}"
        return f"{wish} is in use" if wanted in used else wanted
    for number in range(int(network.network_address), int(network.broadcast_address) + 1):
        if number & 0xFF not in (0, 0xFF) and (address := ip_address(number)) not in used:
            return address
    return f"no available IPs in the pool {pool}"


def announcer(address: str, nodes: Sequence[Object]) -> str:
    """The node that answers for an address: by the address among the ready nodes, empty without any."""
    ready = sorted(meta.name(node) for node in nodes if _is_ready(node))
    return ready[int(ip_address(address)) % len(ready)] if ready else ""


def _is_ready(node: Object) -> bool:
    condition = meta.condition(node, "Ready")
    return condition is not None and condition.get("status") == "True" and not meta.is_deleted(node)


class LoadBalancer:
    """The reconciler; keeps addresses given that the cache does not show yet: `{service uid: address}`."""

    def __init__(self, network: Network) -> None:
        self._pool = network.load_balancer_pool
        self._given: dict[str, str] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Give one Service its address and announcing node, or take them back."""
        service = ctx.cache(SERVICE).get(key)
        if service is None:
            return DONE
        if meta.is_deleted(service) or not is_ours(service):
            return await self._release(service, ctx)
        address = next(iter(addresses_of(service)), "")
        if not address:
            found = self._allocate(service, ctx)
            if isinstance(found, str):
                ctx.event(service, "Warning", "AllocationFailed", f"Failed to allocate IP for {str(key)!r}: {found}")
                return again(RETRY_S)
            address = str(found)
        await self._hold(service, address, ctx)
        return DONE

    def _allocate(self, service: Object, ctx: Context) -> Address | str:
        if (given := self._given.get(meta.uid(service))) is not None:
            return ip_address(given)
        services = ctx.cache(SERVICE).list()
        alive = {meta.uid(other) for other in services}
        self._given = {uid: address for uid, address in self._given.items() if uid in alive}
        taken = [address for other in services for address in addresses_of(other)]
        found = choose(self._pool, [*taken, *self._given.values()], service["spec"].get("loadBalancerIP", ""))
        if not isinstance(found, str):
            self._given[meta.uid(service)] = str(found)
        return found

    async def _hold(self, service: Object, address: str, ctx: Context) -> None:
        """Write finalizer, announcing node and status where they are not as wanted, in this order.

        A list of finalizers is written whole, so only over the one that was read.
        """
        key, node = meta.key_of(service), announcer(address, ctx.cache(NODE).list())
        finalizers, annotations = meta.finalizers(service), meta.annotations(service)
        wanted: Object = {"resourceVersion": service["metadata"]["resourceVersion"]}
        if wellknown.LOAD_BALANCER_FINALIZER not in finalizers:
            wanted["finalizers"] = [*finalizers, wellknown.LOAD_BALANCER_FINALIZER]
        if node and annotations.get(wellknown.ANNOUNCED_BY) != node:
            wanted["annotations"] = {wellknown.ANNOUNCED_BY: node}
        if len(wanted) > 1:
            await ctx.client.patch(SERVICE, key, {"metadata": wanted})
        if addresses_of(service) != [address]:
            status = {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}
            await ctx.client.patch(SERVICE, key, {"status": status}, subresource="status")
            ctx.event(service, "Normal", "EnsuredLoadBalancer", f"Assigned IP {address}")

    async def _release(self, service: Object, ctx: Context) -> Result:
        self._given.pop(meta.uid(service), None)
        key, finalizers = meta.key_of(service), meta.finalizers(service)
        if addresses_of(service) and not service["spec"].get("loadBalancerClass"):
            body: Object = {"status": {"loadBalancer": {"ingress": None}}}
            service = await ctx.client.patch(SERVICE, key, body, subresource="status")
        if wellknown.LOAD_BALANCER_FINALIZER in finalizers:
            left = [item for item in finalizers if item != wellknown.LOAD_BALANCER_FINALIZER]
            metadata = {"resourceVersion": service["metadata"]["resourceVersion"], "finalizers": left}
            body = {"metadata": metadata | {"annotations": {wellknown.ANNOUNCED_BY: None}}}
            await ctx.client.patch(SERVICE, key, body)
        return DONE


def balanced_services(_node: Object, ctx: Context) -> Iterable[Key]:
    """All Services with a load balancer: a node that comes or goes may move an address."""
    return [meta.key_of(service) for service in ctx.cache(SERVICE).list() if is_ours(service)]


def controller(network: Network) -> On:
    """The controller for an address plan; one worker, so that two Services never race for an address."""
    on = On("loadbalancer", workers=1, component="service-controller")
    on.reconcile(SERVICE, also=[on.mapped(NODE, balanced_services)])(LoadBalancer(network).reconcile)
    return on
