"""The DNS server speaks the wire format over a pod's link."""

import asyncio
from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from agents.dns.server import DnsServer, Responder
from agents.kubelet.resolver import Resolver
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_resolv import ResolvConf
from miniplane.dataplane.dns_zone import Zone
from tests.unit.kubelet.fakes import MemoryNetwork, settle

NAME = "api.default.svc.cluster.local."


def service(ip: str = "10.96.0.20", name: str = "api") -> dict[str, object]:
    """A Service."""
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"clusterIP": ip}}


def headless(count: int) -> dict[str, object]:
    """The slice of the headless Service `many`."""
    return {
        "metadata": {"name": "many-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "many"}},
        "endpoints": [{"addresses": [f"10.244.{number // 200}.{number % 200 + 1}"]} for number in range(count)],
    }


class Bench:
    """A directory, its responder, and whether it is said to be in sync."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.synced = True
        zone = Zone(self.directory, domain="cluster.local", dns_ip="10.96.0.10", networks=("10.96.0.0/16",))
        self.responder = Responder(zone, self.directory, lambda: self.synced)
        self.directory.change_namespace(None, {"metadata": {"name": "default"}})
        self.directory.change_service(None, service())
        self.directory.change_service(None, service("None", "many"))

    def ask(self, query: dns.message.Message, *, stream: bool = False) -> dns.message.Message:
        """Ask and decode."""
        answer = self.responder.respond(query.to_wire(), stream=stream)
        assert isinstance(answer, bytes)
        message = dns.message.from_wire(answer)
        assert query.is_response(message) or query.opcode() != dns.opcode.QUERY
        return message


@pytest.fixture
def bench() -> Bench:
    """A server's inside."""
    return Bench()


def test_an_answer(bench: Bench) -> None:
    """A known name is answered with authority and a TTL of five seconds, case as asked, recursion not offered."""
    for name in (NAME, NAME.upper(), NAME):
        answer = bench.ask(dns.message.make_query(name, "A"))
        assert [str(rrset) for rrset in answer.answer] == [f"{name} 5 IN A 10.96.0.20"]
        assert answer.flags & dns.flags.AA
        assert not answer.flags & dns.flags.RA


def test_changes_are_answered_at_once(bench: Bench) -> None:
    """A kept answer does not outlive a change."""
    query = dns.message.make_query(NAME, "A")
    bench.ask(query)
    bench.directory.change_service(service(), service("10.96.0.99"))
    assert bench.ask(query).answer[0][0].address == "10.96.0.99"


def test_servfail_until_synced(bench: Bench) -> None:
    """An incomplete directory gives no answer at all, and nothing of that is kept."""
    bench.synced = False
    query = dns.message.make_query(NAME, "A")
    assert bench.ask(query).rcode() == dns.rcode.SERVFAIL
    bench.synced = True
    assert bench.ask(query).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize(
    ("name", "kind", "code", "authority"),
    [
        (NAME, "AAAA", dns.rcode.NOERROR, 1),
        ("no.default.svc.cluster.local.", "A", dns.rcode.NXDOMAIN, 1),
        ("example.com.", "A", dns.rcode.REFUSED, 0),
        ("cluster.local.", "AXFR", dns.rcode.REFUSED, 0),
    ],
)
def test_codes(bench: Bench, name: str, kind: str, code: dns.rcode.Rcode, authority: int) -> None:
    """No data, no such name and not our zone are three different answers."""
    answer = bench.ask(dns.message.make_query(name, kind))
    assert (answer.rcode(), len(answer.authority), len(answer.answer)) == (code, authority, 0)


def test_other_messages(bench: Bench) -> None:
    """What is no question is answered with an error or not at all."""
    update = dns.message.make_query(NAME, "A")
    update.set_opcode(dns.opcode.STATUS)
    assert bench.ask(update).rcode() == dns.rcode.NOTIMP
    query = dns.message.make_query(NAME, "A").to_wire()
    broken = bench.responder.respond(query[:-3])
    assert isinstance(broken, bytes)
    assert (broken[:2], broken[3] & 15) == (query[:2], dns.rcode.FORMERR)
    assert bench.responder.respond(b"short") is None
    answer = bench.responder.respond(query)
    assert isinstance(answer, bytes)
    assert bench.responder.respond(answer) is None


def test_edns(bench: Bench) -> None:
    """A question with EDNS is answered with EDNS, an unknown version of it with BADVERS."""
    assert bench.ask(dns.message.make_query(NAME, "A")).edns == -1
    assert bench.ask(dns.message.make_query(NAME, "A", use_edns=0, payload=4096)).payload == 1232
    assert bench.ask(dns.message.make_query(NAME, "A", use_edns=1)).rcode() == dns.rcode.BADVERS


def test_cutting(bench: Bench) -> None:
    """What does not fit a datagram is cut with TC set, less with EDNS, and not at all on a stream."""
    bench.directory.change_slice(None, headless(100))
    name = "many.default.svc.cluster.local."
    plain = bench.ask(dns.message.make_query(name, "A"))
    wide = bench.ask(dns.message.make_query(name, "A", use_edns=0, payload=1232))
    stream = bench.ask(dns.message.make_query(name, "A"), stream=True)
    assert plain.flags & dns.flags.TC
    assert wide.flags & dns.flags.TC
    assert 20 < len(plain.answer[0]) < len(wide.answer[0]) < 100
    assert not stream.flags & dns.flags.TC
    assert len(stream.answer[0]) == 100
    assert len(plain.to_wire(max_size=65535)) <= 512


def test_addresses_take_turns(bench: Bench) -> None:
    """Repeated questions get each address first, equally often."""
    bench.directory.change_slice(None, headless(3))
    query = dns.message.make_query("many.default.svc.cluster.local.", "A")
    firsts = [bench.ask(query).answer[0][0].address for _ in range(6)]
    assert sorted(firsts) == sorted(["10.244.0.1", "10.244.0.2", "10.244.0.3"] * 2)


@pytest.fixture
async def served(bench: Bench) -> AsyncIterator[MemoryNetwork]:
    """The bench's server on 10.244.1.2."""
    network = MemoryNetwork()
    server = DnsServer(await network.attach("dns", "10.244.1.2"), bench.responder, lambda: bench.synced)
    await server.start()
    yield network
    await server.aclose()
    await settle()


async def test_a_resolver_asks_it(bench: Bench, served: MemoryNetwork) -> None:
    """A pod's resolver finds short names by datagram, and what was cut by stream."""
    bench.directory.change_slice(None, headless(100))
    link = await served.attach("client", "10.244.1.3")
    conf = ResolvConf(("10.244.1.2",), ("default.svc.cluster.local", "svc.cluster.local"), {"ndots": "5"})
    resolver = Resolver(link, conf)
    assert await resolver.addresses("api") == ["10.96.0.20"]
    assert len(await resolver.addresses("many")) == 100
    with pytest.raises(LookupError):
        await resolver.addresses("nothing")


async def test_health_and_readiness(bench: Bench, served: MemoryNetwork) -> None:
    """Health says OK always, readiness only in sync."""

    async def get(port: int, path: str) -> bytes:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await served.host().connect(lambda: protocol, "10.244.1.2", port)
        transport.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = (await reader.readline()).split()[1]
        transport.close()
        return status

    bench.synced = False
    assert [await get(8080, "/health"), await get(8181, "/ready"), await get(8181, "/")] == [b"200", b"503", b"404"]
    bench.synced = True
    assert await get(8181, "/ready") == b"200"
