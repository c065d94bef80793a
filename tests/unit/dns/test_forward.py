"""Names that are not the cluster's come from other nameservers, are kept a while, and fail in time."""

import asyncio
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from agents.dns.exchange import Exchange
from agents.dns.forward import Forwarder
from agents.dns.server import DnsServer, Responder
from agents.kubelet.resolver import Resolver, ServerFailure
from miniplane.dataplane.dns_config import Forwarding, Server
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_resolv import ResolvConf
from miniplane.dataplane.dns_zone import Zone
from tests.unit.kubelet.fakes import ManualClock, MemoryNetwork, settle

UP, STUB = Server("192.0.2.1"), Server("10.244.1.9", 5353)
SOA = "ns.example. host.example. 1 2 3 4 7"


def records(*texts: str) -> list[dns.rrset.RRset]:
    """Record sets in presentation form."""
    found = []
    for text in texts:
        name, ttl, _, kind, data = text.split(" ", 4)
        found.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
    return found


class Elsewhere:
    """Nameservers outside: what each knows by name, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Server, str]] = []
        self.known: dict[str, list[str]] = {}
        self.broken: set[Server] = set()
        self.change: Callable[[dns.message.Message], None] = lambda _: None

    async def ask(self, query: bytes, server: Server) -> bytes:
        """Answer as a nameserver."""
        message = dns.message.from_wire(query)
        name = message.question[0].name.to_text()
        self.asked.append((server, name))
        if server in self.broken:
            raise OSError("no route")
        answer = dns.message.make_response(message)
        answer.use_edns(0)
        found = [text for text in self.known.get(name, ()) if text.split(" ")[3] in (_kind(message), "CNAME")]
        answer.answer = records(*found)
        if not found:
            answer.authority = records(f"example. 60 IN SOA {SOA}")
            if name not in self.known:
                answer.set_rcode(dns.rcode.NXDOMAIN)
        self.change(answer)
        wire: bytes = answer.to_wire(max_size=65535)
        return wire


def _kind(message: dns.message.Message) -> str:
    return dns.rdatatype.to_text(message.question[0].rdtype)


class Bench:
    """A DNS pod, a client pod, and the world outside."""

    def __init__(self) -> None:
        self.outside, self.clock, self.network = Elsewhere(), ManualClock(), MemoryNetwork()
        self.directory = Directory()
        self.directory.change_namespace(None, {"metadata": {"name": "default"}})
        alias = {"type": "ExternalName", "externalName": "www.example"}
        self.directory.change_service(None, {"metadata": {"name": "out", "namespace": "default"}, "spec": alias})
        zone = Zone(self.directory, domain="cluster.local", dns_ip="10.96.0.10", networks=("10.96.0.0/16",))
        forwarding = Forwarding((UP,), {"corp.example": (STUB,)})
        self.forwarder = Forwarder(self.outside.ask, self.clock, forwarding)
        self.responder = Responder(zone, self.directory, lambda: True, forwards=True)
        self.resolver: Resolver

    async def ask(self, name: str, kind: str = "A") -> dns.message.Message:
        """Ask over the pod network."""
        return await self.resolver.query(name, dns.rdatatype.from_text(kind), server="10.244.1.2")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A running one."""
    made = Bench()
    link = await made.network.attach("dns", "10.244.1.2")
    server = DnsServer(link, made.responder, lambda: True, made.forwarder)
    await server.start()
    made.resolver = Resolver(await made.network.attach("client", "10.244.1.3"), ResolvConf())
    yield made
    await server.aclose()
    await settle()


def answers(message: dns.message.Message) -> list[str]:
    """The answer section's records."""
    return [str(rrset) for rrset in message.answer]


async def test_a_kept_answer_grows_older(bench: Bench) -> None:
    """One question goes out, later ones are answered with what is left of the time, until it is over."""
    bench.outside.known["www.example."] = ["www.example. 20 IN A 198.51.100.1"]
    assert answers(await bench.ask("WWW.example")) == ["WWW.example. 20 IN A 198.51.100.1"]
    await bench.clock.advance(12)
    second = await bench.ask("www.EXAMPLE")
    assert answers(second) == ["www.EXAMPLE. 8 IN A 198.51.100.1"]
    assert second.flags & dns.flags.RA
    assert not second.flags & dns.flags.AA
    assert len(bench.outside.asked) == 1
    await bench.clock.advance(9)
    await bench.ask("www.example")
    assert len(bench.outside.asked) == 2


async def test_no_is_kept_as_long_as_the_zone_says(bench: Bench) -> None:
    """NXDOMAIN and no data keep their codes and go by the SOA's minimum."""
    bench.outside.known["www.example."] = ["www.example. 20 IN A 198.51.100.1"]
    for _ in range(2):
        assert (await bench.ask("no.example")).rcode() == dns.rcode.NXDOMAIN
        empty = await bench.ask("www.example", "AAAA")
        assert (empty.rcode(), len(empty.answer), len(empty.authority)) == (dns.rcode.NOERROR, 0, 1)
    assert len(bench.outside.asked) == 2
    await bench.clock.advance(8)
    await bench.ask("no.example")
    assert len(bench.outside.asked) == 3


async def test_stub_domains_have_their_own_servers(bench: Bench) -> None:
    """A stub domain's names are asked of its servers, the cluster's of nobody; a new config counts at once."""
    for name in ("a.corp.example", "a.example", "no.default.svc.cluster.local"):
        await bench.ask(name)
    assert [server for server, _ in bench.outside.asked] == [STUB, UP]
    bench.forwarder.forwarding = Forwarding((UP,))
    await bench.ask("a.corp.example")
    assert [server for server, _ in bench.outside.asked] == [STUB, UP, UP]


async def test_another_server_is_asked_when_one_fails(bench: Bench) -> None:
    """An unreachable server and one that says SERVFAIL are passed over; when all fail the client hears SERVFAIL."""
    bench.outside.known["www.example."] = ["www.example. 20 IN A 198.51.100.1"]
    bench.outside.broken = {UP}
    bench.forwarder.forwarding = Forwarding((UP, Server("192.0.2.2")))
    assert answers(await bench.ask("www.example"))
    bench.outside.change = lambda answer: answer.set_rcode(dns.rcode.SERVFAIL)
    bench.forwarder.forwarding = Forwarding((UP, STUB))
    assert (await bench.ask("www.example")).rcode() == dns.rcode.SERVFAIL
    count = len(bench.outside.asked)
    await bench.ask("www.example")
    assert len(bench.outside.asked) == count, "a failure is kept for a moment"


async def test_without_upstreams_nobody_knows(bench: Bench) -> None:
    """Names that nobody can be asked for fail, they do not hang."""
    bench.forwarder.forwarding = Forwarding()
    assert (await bench.ask("www.example")).rcode() == dns.rcode.SERVFAIL
    resolver = Resolver(bench.resolver._link, ResolvConf(("10.244.1.2",)))
    with pytest.raises(ServerFailure):
        await resolver.addresses("www.example.")
    with pytest.raises(LookupError) as gone:
        await resolver.addresses("no.default.svc.cluster.local.")
    assert not isinstance(gone.value, ServerFailure)


async def test_an_alias_is_followed_outside(bench: Bench) -> None:
    """An ExternalName's answer holds its alias and what that leads to, in one message."""
    bench.outside.known["www.example."] = ["www.example. 20 IN A 198.51.100.1"]
    name = "out.default.svc.cluster.local."
    for _ in range(2):
        answer = await bench.ask(name)
        assert answers(answer) == [f"{name} 5 IN CNAME www.example.", "www.example. 20 IN A 198.51.100.1"]
    assert len(bench.outside.asked) == 1
    assert answers(await bench.ask(name, "CNAME")) == [f"{name} 5 IN CNAME www.example."]
    bench.outside.known.clear()
    bench.forwarder.forwarding = Forwarding((STUB,))
    assert (await bench.ask(name)).rcode() == dns.rcode.NXDOMAIN


async def test_long_answers_are_cut_for_datagrams_only(bench: Bench) -> None:
    """What does not fit is cut with TC, and whole over TCP: the resolver gets all of it."""
    bench.outside.known["big.example."] = [f"big.example. 20 IN TXT {'x' * 200}{n}" for n in range(10)]
    whole = await bench.ask("big.example", "TXT")
    assert len(whole.answer[0]) == 10
    query = dns.message.make_query("big.example", "TXT")
    foreign = bench.responder.respond(query.to_wire())
    assert foreign is not None
    assert not isinstance(foreign, bytes)
    cut = bench.forwarder.cached(foreign.asked, query.to_wire())
    assert cut is not None
    message = dns.message.from_wire(cut)
    assert message.flags & dns.flags.TC
    assert not message.answer


async def test_one_question_for_many_clients(bench: Bench) -> None:
    """Clients that ask the same at the same time share one question."""
    await asyncio.gather(*(bench.ask("same.example") for _ in range(20)))
    assert len(bench.outside.asked) == 1


async def test_a_question_that_comes_back_is_a_loop(bench: Bench) -> None:
    """A nameserver that asks us again what we asked it is answered SERVFAIL at once."""
    codes: list[int] = []

    async def loop(query: bytes, server: Server) -> bytes:
        socket = await bench.network.attach("other", "10.244.1.4")
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        bound = await socket.bind(lambda data, *_: answered.set_result(data))
        bound.send(query, "10.244.1.2", 53)
        answer = await answered
        bound.close()
        codes.append(answer[3] & 15)
        return answer

    bench.forwarder._ask = loop
    assert (await bench.ask("loop.example")).rcode() == dns.rcode.SERVFAIL
    assert set(codes) == {int(dns.rcode.SERVFAIL)}


async def test_servers_in_the_cluster_are_asked_from_the_pod() -> None:
    """A server at a cluster address is asked over the pod's link, and over TCP what it cut."""
    network = MemoryNetwork()
    directory = Directory()
    directory.change_namespace(None, {"metadata": {"name": "default"}})
    directory.change_service(
        None, {"metadata": {"name": "many", "namespace": "default"}, "spec": {"clusterIP": "None"}}
    )
    directory.change_slice(
        None,
        {
            "metadata": {"name": "m", "namespace": "default", "labels": {"kubernetes.io/service-name": "many"}},
            "endpoints": [{"addresses": [f"10.1.{n // 200}.{n % 200 + 1}"]} for n in range(200)],
        },
    )
    zone = Zone(directory, domain="other.local", dns_ip="10.96.0.11")
    server = DnsServer(
        await network.attach("far", "10.244.1.9"), Responder(zone, directory, lambda: True), lambda: True
    )
    await server.start()
    exchange = Exchange(await network.attach("dns", "10.244.1.2"), ("10.244.0.0/16",))
    query = dns.message.make_query("many.default.svc.other.local", "A", use_edns=0)
    answer = dns.message.from_wire(await exchange.ask(query.to_wire(), Server("10.244.1.9")))
    assert len(answer.answer[0]) == 200
    await server.aclose()
    await settle()
