"""The image `miniplane/dns`: the cluster's DNS server in a pod."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from miniplane.aio import stop
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.client import Client, Selection
from miniplane.config import Network
from miniplane.dataplane.dns_config import Forwarding, Server, parse
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_resolv import ResolvConf
from miniplane.dataplane.dns_zone import POD_NAMES, PodNames, Zone
from miniplane.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, POD, SERVICE
from miniplane.runtime.informer import Change, Informer, Informers

from ..kubelet.images.base import ContainerContext, RunningContainer, Served
from ..kubelet.images.following import follow
from ..kubelet.images.serving import flag
from .exchange import Exchange
from .forward import Forwarder
from .server import DnsServer, Responder

NAMES = ("miniplane/dns", "*/miniplane/dns")
"""The patterns under which a catalogue should have it."""
MOUNT = "/kube-dns-config"
"""Where the ConfigMap with the stub domains is mounted, as in upstream's kube-dns."""

Feed = Callable[[Object | None, Object | None], None]


@dataclass(slots=True)
class _Config:
    """What the ConfigMap says, told to the forwarder whenever it changes."""

    context: ContainerContext
    forwarder: Forwarder
    read: Callable[[Mapping[str, str]], Forwarding]
    known: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self, change: Change) -> None:
        forwarding = self.read((change.new or {}).get("data") or {})
        self.forwarder.forwarding = forwarding
        name = meta.name(change.new or change.old or {})
        self.context.log(f"configmap {name}: {_summary(forwarding)}")
        for problem in forwarding.problems:
            self.context.log(f"configmap {name}: {problem}")
            self.context.event("Warning", "InvalidConfig", f"configmap {name}: {problem}")


class DnsImage:
    """Serves the zone of `network` from the agent's informers. Flag: -pods (disabled, insecure, verified).

    `node` is the node's resolv.conf: its nameservers know what the ConfigMap names no others for.
    """

    def __init__(self, informers: Informers, client: Client, network: Network, node: ResolvConf) -> None:
        self._informers, self._client = informers, client
        self._network, self._node = network, node

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`; a wrong flag ends it with code 2."""
        pod_names = next((word for word in POD_NAMES if word == flag(context.args, "pods", "insecure")), None)
        if pod_names is None:
            context.log(f"-pods must be one of {', '.join(POD_NAMES)}")
            stopped = Served(context, _nothing)
            stopped.finish(2)
            return stopped
        directory = Directory()
        feeds = _feeds(directory, pod_names)
        informers = {kind: self._informers.get(kind) for kind in feeds}
        plan = self._network
        networks = (*plan.pod_cidrs, *plan.service_cidrs)
        zone = Zone(directory, domain=plan.cluster_domain, dns_ip=plan.dns_ip, networks=networks, pod_names=pod_names)

        def read(data: Mapping[str, str]) -> Forwarding:
            known = tuple(Server(ip) for ip in self._node.nameservers)
            return parse(data, own=(plan.dns_ip, context.link.ip), domain=zone.domain, upstreams=known)

        forwarder = Forwarder(Exchange(context.link, networks).ask, context.clock, read({}))
        config = _Config(context, forwarder, read)

        def is_synced() -> bool:
            return config.known.is_set() and all(informer.is_synced for informer in informers.values())

        server = DnsServer(context.link, Responder(zone, directory, is_synced, forwards=True), is_synced, forwarder)
        await server.start()
        stops = _subscribe(informers, feeds)
        following = self._follow(config)
        context.log(f"serving {zone.domain} on {context.link.ip}:53, UDP and TCP; {_summary(forwarder.forwarding)}")

        async def close() -> None:
            for unsubscribe in stops:
                unsubscribe()
            await stop(*following)
            await server.aclose()

        return Served(context, close)

    def _follow(self, config: _Config) -> list[asyncio.Task[None]]:
        """Follow the ConfigMap that the pod mounts, which also is what gives its node the right to."""
        name = _mounted(config.context)
        if not name:
            config.known.set()
            return []
        selection = Selection(meta.namespace(config.context.pod), fields=f"metadata.name={name}")
        work = follow(
            self._client,
            config.context.clock,
            CONFIG_MAP,
            selection,
            changed=config.changed,
            known=config.known.set,
        )
        return [asyncio.create_task(work, name="dns config")]


def _mounted(context: ContainerContext) -> str:
    mounts = context.container.get("volumeMounts") or ()
    wanted = {mount["name"] for mount in mounts if mount.get("mountPath", "").rstrip("/") == MOUNT}
    volumes = (context.pod.get("spec") or {}).get("volumes") or ()
    sources = [volume.get("configMap") or {} for volume in volumes if volume.get("name") in wanted]
    return next((str(source["name"]) for source in sources if source.get("name")), "")


def _feeds(directory: Directory, pod_names: PodNames) -> dict[Kind, Feed]:
    feeds: dict[Kind, Feed] = {
        SERVICE: directory.change_service,
        ENDPOINT_SLICE: directory.change_slice,
        NAMESPACE: directory.change_namespace,
    }
    return feeds | {POD: directory.change_pod} if pod_names == "verified" else feeds


def _summary(forwarding: Forwarding) -> str:
    stubs = [f"{domain} is asked of {_list(servers)}" for domain, servers in sorted(forwarding.stubs.items())]
    others = f"other names are asked of {_list(forwarding.upstreams)}"
    return "; ".join([*stubs, others if forwarding.upstreams else "nobody knows other names"])


def _list(servers: tuple[Server, ...]) -> str:
    return ", ".join(map(str, servers))


def _subscribe(informers: Mapping[Kind, Informer], feeds: Mapping[Kind, Feed]) -> list[Callable[[], None]]:
    def handler(feed: Feed) -> Callable[[Change], None]:
        return lambda change: feed(change.old, change.new)

    return [informer.subscribe(handler(feeds[kind])) for kind, informer in informers.items()]


async def _nothing() -> None: ...
