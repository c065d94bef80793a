"""SPDY frames and the port-forward tunnel made of them."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.kubelet.server.spdy import (
    DICTIONARY,
    DICTIONARY_ID,
    Data,
    Decoder,
    Encoder,
    Frame,
    Opened,
    Ping,
    Reset,
    SpdyError,
    data_frame,
    ping_frame,
    reset_frame,
)
from tests.unit.kubelet.test_pods import NGINX
from tests.unit.kubelet.test_server import Site, site

__all__ = ["site"]
TUNNEL = "SPDY/3.1+portforward.k8s.io"


def test_dictionary_is_the_protocols() -> None:
    """Its checksum is the one with which every SPDY/3 peer's compressed data begin."""
    assert zlib.adler32(DICTIONARY) == DICTIONARY_ID


@given(
    st.lists(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=20)), max_size=5), st.data()
)
def test_what_is_encoded_is_decoded(blocks: list[dict[str, str]], data: st.DataObject) -> None:
    """Streams opened one after the other decode to the same headers, however the bytes are cut."""
    encoder = Encoder()
    wire = b"".join(encoder.open(2 * at + 1, block, finish=True) for at, block in enumerate(blocks))
    cut = data.draw(st.integers(0, len(wire)))
    decoder = Decoder()
    frames = [*decoder.feed(wire[:cut]), *decoder.feed(wire[cut:])]
    assert frames == [Opened(2 * at + 1, block, is_finished=True) for at, block in enumerate(blocks)]


def test_other_frames() -> None:
    """Data, ping and reset come out as they went in."""
    wire = data_frame(3, b"abc", finish=True) + ping_frame(7) + reset_frame(3)
    assert [*Decoder().feed(wire)] == [Data(3, b"abc", is_finished=True), Ping(7), Reset(3)]


@pytest.mark.parametrize(
    "wire",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        b"\x80\x03\x00\x01\x00\xff\xff\xff",
        b"\x80\x03\x00\x01\x00\x00\x00\x0e" + bytes(14),
    ],
)
def test_nonsense_is_refused(wire: bytes) -> None:
    """Another version, a frame that is too long, headers that do not inflate."""
    with pytest.raises(SpdyError):
        list(Decoder().feed(wire))


async def test_tunnel_carries_a_connection(site: Site) -> None:
    """An error and a data stream with one request id carry an HTTP exchange; pings come back."""
    await site.run(NGINX)
    encoder, decoder = Encoder(), Decoder()
    url = f"{site.url}/portForward/default/p"
    async with site.session.ws_connect(url, protocols=(TUNNEL,)) as socket:
        assert socket.protocol == TUNNEL
        head = {"port": "80", "requestid": "0"}
        await socket.send_bytes(encoder.open(1, head | {"streamtype": "error"}, finish=True))
        await socket.send_bytes(encoder.open(3, head | {"streamtype": "data"}) + ping_frame(1))
        await socket.send_bytes(data_frame(3, b"GET /hostname HTTP/1.0\r\n\r\n"))
        frames: list[Frame] = []
        while Data(3, b"", is_finished=True) not in frames:
            frames += decoder.feed(await socket.receive_bytes())
    assert Ping(1) in frames
    assert Data(1, b"", is_finished=True) in frames
    text = b"".join(frame.data for frame in frames if isinstance(frame, Data) and frame.stream == 3)
    assert text.startswith(b"HTTP/1.0 200 OK")
    assert text.endswith(b"\r\n\r\np")


async def test_tunnel_tells_of_a_closed_port(site: Site) -> None:
    """The error stream says that nobody listens."""
    await site.run(NGINX)
    encoder, decoder = Encoder(), Decoder()
    async with site.session.ws_connect(f"{site.url}/portForward/default/p", protocols=(TUNNEL,)) as socket:
        head = {"port": "81", "requestid": "0"}
        await socket.send_bytes(encoder.open(1, head | {"streamtype": "error"}, finish=True))
        await socket.send_bytes(encoder.open(3, head | {"streamtype": "data"}))
        frames: list[Frame] = []
        while Data(3, b"", is_finished=True) not in frames:
            frames += decoder.feed(await socket.receive_bytes())
    assert Data(1, b"error forwarding port 81 to pod: connection refused", is_finished=True) in frames
