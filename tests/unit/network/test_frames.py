"""Frames survive any cutting of the stream, and what is no frame is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.network.frames import Frame, FrameError, Parser, decode_packet, encode, encode_packet
from agents.network.tunnel import node_of
from miniplane.dataplane.packet import Packet, Protocol

addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)
ports = st.integers(0, 65535)


@given(addresses, st.sampled_from(Protocol), ports, ports, st.binary(max_size=20))
def test_packets_round_trip(
    pair: tuple[object, object], protocol: Protocol, sport: int, dport: int, rest: bytes
) -> None:
    """A packet comes back as it was, but for its mark, with what follows it."""
    packet = Packet(pair[0], pair[1], protocol, sport, dport, 7)  # type: ignore[arg-type]  # addresses of one family
    bare = Packet(pair[0], pair[1], protocol, sport, dport)  # type: ignore[arg-type]  # as above
    assert decode_packet(encode_packet(packet) + rest) == (bare, rest)


frames = st.lists(st.tuples(st.sampled_from(Frame), st.binary(max_size=30)), max_size=8)


@given(frames, st.lists(st.integers(1, 12), min_size=1))
def test_any_cutting_gives_the_same_frames(sent: list[tuple[Frame, bytes]], sizes: list[int]) -> None:
    """However the stream is cut, control frames come whole and in order, and data loses nothing."""
    stream = b"".join(encode(kind, payload) for kind, payload in sent)
    got: list[tuple[Frame, bytes]] = []
    data: list[bytes] = []
    parser = Parser(data.append, lambda kind, payload: got.append((kind, payload)))
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        parser.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert got == [frame for frame in sent if frame[0] is not Frame.DATA]
    assert b"".join(data) == b"".join(payload for kind, payload in sent if kind is Frame.DATA)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n", b"\x09\0\0\0\0", b"\x01\xff\xff\xff\xff"])
def test_junk_is_refused(junk: bytes) -> None:
    """What is no frame raises FrameError."""
    parser = Parser(lambda _: None, lambda _kind, _payload: None)
    with pytest.raises(FrameError):
        parser.feed(junk)


@pytest.mark.parametrize("junk", [b"", b"\x05", b"\x04\x06\x01\x02", b"\x04\xfe" + bytes(12)])
def test_bad_packets_are_refused(junk: bytes) -> None:
    """A packet that is cut, of no version or of an unknown protocol raises FrameError."""
    with pytest.raises(FrameError):
        decode_packet(junk)


def test_only_a_nodes_certificate_names_a_node() -> None:
    """The name counts only together with the group of the nodes."""
    name, group = (("commonName", "system:node:node-1"),), (("organizationName", "system:nodes"),)
    assert node_of({"subject": (group, name)}) == "node-1"
    assert node_of({"subject": (name,)}) == ""
    assert node_of({"subject": (group, (("commonName", "admin"),))}) == ""
