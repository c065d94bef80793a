"""A whole request: the name looked up, the packet sent, the ingress proxy's own connection, and the way back.

>>> from miniplane.dataplane.journey import follow
>>> follow(objects, "shop/web", "http://api.shop/", network=network).to_json()["verdict"]
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane import offline
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.explain import Backend, Destination, Trace, TraceHop, ways
from miniplane.dataplane.ingress import Ingresses
from miniplane.dataplane.lookup import Lookup, Names
from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.reply import reply_hops
from miniplane.dataplane.words import Words, is_address, port_of, split_port

SCHEMES = {"http": 80, "https": 443}
DELIVERED, UNRESOLVED = "delivered", "unresolved"


@dataclass(frozen=True, slots=True)
class Journey:
    """The answer. `backends` of `trace` and `ways` go together: a way to each, told alone."""

    trace: Trace
    ways: tuple[Trace, ...] = ()

    @property
    def verdict(self) -> str:
        """delivered, dropped, rejected or unresolved."""
        return self.trace.verdict

    def to_json(self, *, all_backends: bool = False) -> dict[str, Any]:
        """The trace's JSON; with `all_backends` each backend has its own `hops`."""
        whole = self.trace.to_json()
        if all_backends:
            hops = {(way.destination.ip, way.destination.port): way.hops for way in self.ways}
            for backend in whole["backends"]:
                backend["hops"] = [asdict(hop) for hop in hops.get((backend["ip"], backend["port"]), ())]
        return whole

    def lines(self, *, all_backends: bool = False) -> list[str]:
        """For people; with `all_backends` every way, one after the other."""
        if not all_backends or len(self.ways) < 2:  # noqa: PLR2004  one way is the trace itself
            return self.trace.lines()
        lines: list[str] = []
        for way in self.ways:
            lines += [*replace(way, backends=()).lines(), ""]
        return [*lines, *replace(self.trace, hops=()).lines()]


def follow(  # noqa: PLR0913  the words of a question
    objects: Iterable[Object],
    source: str,
    target: str,
    *,
    port: int | str = 0,
    protocol: str = "TCP",
    namespace: str = "default",
    network: Network | None = None,
    reply: bool = False,
) -> Journey:
    """Follow a request in the world that some manifests describe.

    `objects` are API objects as JSON, as they would be applied; `offline.build` fills in what they leave to the
    cluster, its DNS and ingress proxy included. For several questions about one world keep a `Journeys`.
    """
    world = offline.build(objects, network, addons=True)
    return Journeys(world.objects, world.network, namespace).follow(source, target, port, protocol, reply=reply)


class Journeys:
    """One cluster's objects, complete with addresses, ready for many questions."""

    def __init__(self, objects: Iterable[Object], network: Network, namespace: str = "default") -> None:
        whole = list(objects)
        self._cluster = Cluster.from_objects(whole, network)
        self._words = Words(whole, namespace)
        self._names = Names(self._cluster, self._words, network)
        self._ingresses = Ingresses(self._words)

    def follow(
        self, source: str, target: str, port: int | str = 0, protocol: str = "TCP", *, reply: bool = False
    ) -> Journey:
        """Follow a request from `source` to `target`, words as in `words`, or a URL, or a name of the cluster's DNS.

        `port` is a number, the name of the target's port, or 0 for its first. Raises ValueError for what is not there.
        """
        port = port_of(port)
        asked = _Asked(self._words.source(source), protocol, reply)
        if "://" in target:
            return self._url(asked, target)
        name, number = split_port(target)
        party = self._words.target(name)
        if party:
            return self._send(asked, party, self._words.port(party, number or port, protocol))
        return self._named(asked, name, number or port)

    def _send(self, asked: "_Asked", target: str, port: int) -> Journey:
        whole, found = ways(self._cluster, asked.source, target, port, Protocol[asked.protocol])
        if not asked.reply:
            return Journey(whole, tuple(way.trace for way in found))
        told: list[Trace] = []
        for way in found:
            told.append(way.trace)
            if way.trace.verdict == DELIVERED:
                gets_back, hops = reply_hops(self._cluster, way)
                verdict = DELIVERED if gets_back else "dropped"
                told[-1] = replace(way.trace, verdict=verdict, hops=(*way.trace.hops, *hops))
        if not told:
            return Journey(whole)
        worst = next((way for way in told if way.verdict != DELIVERED), told[0])
        return Journey(replace(worst, backends=whole.backends), tuple(told))

    def _named(self, asked: "_Asked", name: str, port: int | str) -> Journey:
        pod = self._words.get("Pod", self._words.namespace, name)
        found = self._names.lookup(asked.source, name)
        if not found.addresses and pod is not None and not found.is_hidden:
            party = f"pod/{meta.key_of(pod)}"
            return self._send(asked, party, self._words.port(party, port, asked.protocol))
        return self._looked_up(asked, found, port)

    def _looked_up(self, asked: "_Asked", found: Lookup, port: int | str) -> Journey:
        if not found.addresses:
            number = port if isinstance(port, int) else 0
            return Journey(Trace(UNRESOLVED, Destination("", "", number), (), found.hops))
        if found.service is not None:
            party = f"svc/{found.service}"
            sent = [self._send(asked, party, self._words.port(party, port, asked.protocol))]
        else:
            sent = [self._send(asked, address, self._port_at(address, port)) for address in found.addresses]
        return _after(found.hops, sent)

    def _port_at(self, address: str, port: int | str) -> int:
        """The port to ask a headless Service's endpoint at: no rule translates it, so it is the pod's own."""
        if isinstance(port, int) and port:
            return port
        for part in self._words.of("EndpointSlice").values():
            if any(address in endpoint.get("addresses", ()) for endpoint in part.get("endpoints") or ()):
                for item in part.get("ports") or ():
                    if not port or item.get("name") == port:
                        return int(item["port"])
        raise (
            ValueError(f"{address} has no port with the name {port!r}")
            if port
            else ValueError(f"{address} declares no port: say which")
        )

    def _url(self, asked: "_Asked", url: str) -> Journey:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ValueError(f"{url!r} is no URL that can be followed: http://HOST[:PORT]/PATH")
        asked = replace(asked, protocol="TCP")
        port = parts.port or SCHEMES[parts.scheme]
        host, path = parts.hostname, parts.path or "/"
        if is_address(host):
            sent = self._send(asked, host, port)
        elif self._ingresses.knows(host):
            sent = self._to_ingress(asked, host, path, port)
        else:
            sent = self._looked_up(asked, self._names.lookup(asked.source, host), port)
        if sent.verdict != DELIVERED or not self._ingresses.is_proxy(sent.trace.destination.pod):
            return sent
        return self._through_proxy(sent, asked, host, path)

    def _to_ingress(self, asked: "_Asked", host: str, path: str, port: int) -> Journey:
        """The host's address is taken to be its Ingress', as whoever publishes the name would have it."""
        hops: tuple[TraceHop, ...] = ()
        if asked.source.startswith("pod/"):
            found = self._names.lookup(asked.source, host)
            if found.addresses or not found.is_foreign:
                return self._looked_up(asked, found, port)
            hops = found.hops
        shown, field, address = self._ingresses.address(host, path)
        verdict = "accept" if address else UNRESOLVED
        text = (
            f"{host} is taken to be {address}, where its Ingress is served" if address else f"{host} has no address yet"
        )
        hops = (*hops, TraceHop("dns", "", shown, field, verdict, text, ""))
        if not address:
            return Journey(Trace(UNRESOLVED, Destination("", "", port), (), hops))
        return _after(hops, [self._send(asked, address, port)])

    def _through_proxy(self, sent: Journey, asked: "_Asked", host: str, path: str) -> Journey:
        proxy = sent.trace.destination.pod
        node = sent.trace.hops[-1].node
        hop, targets = self._ingresses.route(host, path, node)
        before = (*sent.trace.hops, hop)
        if not targets:
            return Journey(Trace("rejected", sent.trace.destination, (), before))
        onward = replace(asked, source=f"pod/{proxy}")
        return _after(before, [self._send(onward, ip, port) for ip, port in targets])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stays the same while one question is followed."""

    source: str
    protocol: str
    reply: bool


def _after(hops: tuple[TraceHop, ...], sent: Sequence[Journey]) -> Journey:
    """What was sent after some hops; several alternatives are equally likely."""
    told = [replace(way, hops=(*hops, *way.hops)) for journey in sent for way in journey.ways]
    worst = next((journey.trace for journey in sent if journey.verdict != DELIVERED), sent[0].trace)
    backends = worst.backends
    if len(sent) > 1:
        share = round(1 / len(sent), 6)
        ends = [(journey.trace.destination, journey.verdict) for journey in sent]
        backends = tuple(Backend(end.pod, end.ip, end.port, share, verdict) for end, verdict in ends)
    return Journey(replace(worst, hops=(*hops, *worst.hops), backends=backends), tuple(told))
