"""The DNS server withstands any bytes, and its answers keep to the zone's laws."""

import contextlib

import dns.message
import dns.rcode
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from agents.dns.server import Responder
from miniplane.dataplane.dns_cache import Asked, Cache, Malformed, render, times_to_live
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_zone import Code, Zone


def _zone() -> tuple[Zone, Responder]:
    directory = Directory()
    directory.change_namespace(None, {"metadata": {"name": "default"}})
    for name, ip in (("a", "10.96.0.20"), ("b", "None")):
        directory.change_service(
            None,
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": 80}]},
            },
        )
    directory.change_slice(
        None,
        {
            "metadata": {"name": "b", "namespace": "default", "labels": {"kubernetes.io/service-name": "b"}},
            "ports": [{"name": "http", "port": 80}],
            "endpoints": [{"addresses": ["10.244.0.5"], "hostname": "h"}],
        },
    )
    zone = Zone(directory, domain="cluster.local", dns_ip="10.96.0.10", networks=("10.0.0.0/8",))
    return zone, Responder(zone, directory, lambda: True)


ZONE, RESPONDER = _zone()
label = st.one_of(
    st.sampled_from(["a", "b", "h", "_http", "_tcp", "default", "svc", "pod", "10-1-2-3", "cluster", "local", "dns"]),
    st.text("abcXYZ019-_", min_size=1, max_size=8),
)
names = st.one_of(
    st.lists(label, max_size=6).map(lambda labels: ".".join([*labels, "cluster", "local"])),
    st.lists(st.text("0123456789", min_size=1, max_size=3), max_size=5).map(
        lambda labels: ".".join([*labels, "in-addr", "arpa"])
    ),
    st.lists(label, max_size=5).map(".".join),
)
kinds = st.sampled_from(["A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "NS", "SOA", "ANY", "MX"])


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    """No message makes the server fail; what it answers is an answer with the same id."""
    answer = RESPONDER.respond(data)
    if answer is not None:
        assert isinstance(answer, bytes)
        assert answer[:2] == data[:2]
        assert answer[2] & 0x80


@given(names, kinds)
def test_existence_does_not_depend_on_the_type(name: str, kind: str) -> None:
    """A name exists for all types or for none."""
    assert ZONE.resolve(name, kind).code == ZONE.resolve(name, "A").code


@given(names, kinds)
def test_parents_of_names_exist(name: str, kind: str) -> None:
    """Above an existing name of the zone no name is missing (RFC 8020)."""
    if ZONE.resolve(name, kind).code is Code.NOERROR and name.lower().endswith(".cluster.local"):
        parent = name.partition(".")[2]
        assert ZONE.resolve(parent, kind).code is Code.NOERROR


@given(names, kinds)
def test_negative_answers_carry_the_soa(name: str, kind: str) -> None:
    """An answer has records or an SOA; a refusal has neither."""
    reply = ZONE.resolve(name, kind)
    assert bool(reply.answer) + bool(reply.authority) == (0 if reply.code is Code.REFUSED else 1)


@given(names, kinds)
def test_the_wire_says_the_same(name: str, kind: str) -> None:
    """Encoding changes neither code nor number of records."""
    if not name or any(len(part) > 63 or not part for part in name.split(".")):
        return
    query = dns.message.make_query(name, kind)
    wire = RESPONDER.respond(query.to_wire())
    assert isinstance(wire, bytes)
    answer, reply = dns.message.from_wire(wire), ZONE.resolve(name, kind)
    assert dns.rcode.to_text(answer.rcode()) == reply.code
    assert sum(map(len, answer.answer)) == len(reply.answer)


@given(st.binary(max_size=80))
def test_the_cache_withstands_any_bytes(data: bytes) -> None:
    """What another nameserver sends is either a message or refused."""
    for wire in (data, b"\0\0\x81\x80\0\1\0\1\0\0\0\0" + data):
        with contextlib.suppress(Malformed):
            times_to_live(wire)


@given(names, st.integers(0, 2**16 - 1), st.integers(0, 100), st.booleans())
def test_a_kept_answer_is_the_answer(name: str, number: int, age: int, edns: bool) -> None:  # noqa: FBT001  hypothesis
    """A kept answer rendered for another client is that client's: id, case, EDNS; records as they were, older."""
    if not name or any(len(part) > 63 or not part for part in name.split(".")):
        return
    query = dns.message.make_query(name, "A", id=number, use_edns=edns)
    made = dns.message.make_response(query)
    made.use_edns(edns=False)
    made.answer = [dns.rrset.from_text(name + ".", 60, "IN", "A", "192.0.2.1", "192.0.2.2")]
    other = dns.message.make_query(name.swapcase(), "A", id=(number + 1) % 2**16, use_edns=edns)
    wire = other.question[0].name.to_wire()
    assert wire is not None
    asked = Asked(wire + b"\0\1\0\1", edns)
    kept = Cache().put(asked, made.to_wire(want_shuffle=False), 1000.0)
    again = dns.message.from_wire(render(kept, asked, other.to_wire(), 1000.0 + age))
    assert other.is_response(again)
    assert (again.edns >= 0) == edns
    assert again.answer[0].ttl == max(0, 30 - age)
    assert {str(record) for record in again.answer[0]} == {"192.0.2.1", "192.0.2.2"}
