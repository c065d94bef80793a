"""The image `miniplane/dns`: the cluster's DNS server in a pod."""

from collections.abc import Callable, Mapping

from miniplane.api.kind import Kind, Object
from miniplane.config import Network
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_zone import POD_NAMES, Zone
from miniplane.kinds import ENDPOINT_SLICE, NAMESPACE, POD, SERVICE
from miniplane.runtime.informer import Change, Informer, Informers

from ..kubelet.images.base import ContainerContext, RunningContainer, Served
from ..kubelet.images.serving import flag
from .server import DnsServer, Responder

NAMES = ("miniplane/dns", "*/miniplane/dns")
"""The patterns under which a catalogue should have it."""

Feed = Callable[[Object | None, Object | None], None]


class DnsImage:
    """Serves the zone of `network` from the agent's informers. Flag: -pods (disabled, insecure, verified)."""

    def __init__(self, informers: Informers, network: Network) -> None:
        self._informers = informers
        self._network = network

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`; a wrong flag ends it with code 2."""
        pod_names = next((word for word in POD_NAMES if word == flag(context.args, "pods", "insecure")), None)
        if pod_names is None:
            context.log(f"-pods must be one of {', '.join(POD_NAMES)}")
            stopped = Served(context, _nothing)
            stopped.finish(2)
            return stopped
        directory = Directory()
        feeds: dict[Kind, Feed] = {
            SERVICE: directory.change_service,
            ENDPOINT_SLICE: directory.change_slice,
            NAMESPACE: directory.change_namespace,
        }
        if pod_names == "verified":
            feeds[POD] = directory.change_pod
        informers = {kind: self._informers.get(kind) for kind in feeds}

        def is_synced() -> bool:
            return all(informer.is_synced for informer in informers.values())

        plan = self._network
        zone = Zone(
            directory,
            domain=plan.cluster_domain,
            dns_ip=plan.dns_ip,
            networks=(*plan.pod_cidrs, *plan.service_cidrs),
            pod_names=pod_names,
        )
        server = DnsServer(context.link, Responder(zone, directory, is_synced), is_synced)
        await server.start()
        stops = _subscribe(informers, feeds)
        context.log(f"serving {zone.domain} on {context.link.ip}:53, UDP and TCP")

        async def close() -> None:
            for stop in stops:
                stop()
            await server.aclose()

        return Served(context, close)


def _subscribe(informers: Mapping[Kind, Informer], feeds: Mapping[Kind, Feed]) -> list[Callable[[], None]]:
    def handler(feed: Feed) -> Callable[[Change], None]:
        return lambda change: feed(change.old, change.new)

    return [informer.subscribe(handler(feeds[kind])) for kind, informer in informers.items()]


async def _nothing() -> None: ...
