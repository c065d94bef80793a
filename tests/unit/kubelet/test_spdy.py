"""SPDY frames, and what is made of them: the port-forward tunnel, exec and attach."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

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
from miniplane import upgrade
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


class Peer:
    """A client that speaks SPDY on the connection itself, as kubectl up to 1.29."""

    def __init__(self, peer: upgrade.Opened) -> None:
        self.peer = peer
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.frames: list[Frame] = []

    @classmethod
    async def connect(cls, site: Site, target: str, *protocols: str) -> "Peer":
        """Ask for an upgrade."""
        url = URL(site.url)
        headers = CIMultiDict({"Host": url.authority, "Connection": "Upgrade", "Upgrade": "SPDY/3.1"})
        headers.extend(("X-Stream-Protocol-Version", protocol) for protocol in protocols)
        asked = upgrade.Asked(method="POST", target=target, headers=headers)
        return cls(await upgrade.connect(url.host or "", url.port or 0, asked, tls=None, timeout_s=5))

    async def open(self, **streams: int) -> None:
        """Open a stream of each type."""
        for kind, number in streams.items():
            await self.peer.write(self.encoder.open(number, {"streamtype": kind}))

    async def all(self) -> dict[int, bytes]:
        """What came on each stream until the server closed; each of them has been finished."""
        while data := await self.peer.read():
            self.frames += self.decoder.feed(data)
        await self.peer.close()
        texts: dict[int, bytes] = {}
        for frame in self.frames:
            if isinstance(frame, Data):
                texts[frame.stream] = texts.get(frame.stream, b"") + frame.data
        assert {frame.stream for frame in self.frames if isinstance(frame, Data) and frame.is_finished} == set(texts)
        return texts


async def test_exec_by_spdy(site: Site) -> None:
    """Input comes in and ends; output goes out by stream, the Status comes on the error stream; data may be early."""
    await site.run(NGINX)
    query = "command=sh&command=-c&command=cat;+echo+oh+>%262;+exit+3&input=1&output=1&error=1"
    peer = await Peer.connect(site, f"/exec/default/p/web?{query}", "v5.channel.k8s.io", "v4.channel.k8s.io")
    assert peer.peer.headers["X-Stream-Protocol-Version"] == "v4.channel.k8s.io"
    await peer.open(error=1, stdin=3)
    await peer.peer.write(data_frame(3, b"in\n", finish=True) + ping_frame(7))
    await peer.open(stdout=5, stderr=7)
    texts = await peer.all()
    assert (texts[5], texts[7]) == (b"in\n", b"oh\n")
    status = json.loads(texts[1])
    assert (status["reason"], status["details"]["causes"][0]["message"]) == ("NonZeroExitCode", "3")
    assert Ping(7) in peer.frames


async def test_exec_by_spdy_needs_a_known_protocol(site: Site) -> None:
    """A client that speaks no version that we do is told which ones there are."""
    await site.run(NGINX)
    with pytest.raises(upgrade.Refused) as caught:
        await Peer.connect(site, "/exec/default/p/web?command=true&output=1", "channel.k8s.io")
    assert caught.value.status == 403, caught.value.body
    assert b"server accepts [v4.channel.k8s.io]" in caught.value.body


async def test_client_that_opens_no_streams(site: Site) -> None:
    """A client that leaves before its streams are there leaves nothing behind."""
    await site.run(NGINX)
    peer = await Peer.connect(site, "/exec/default/p/web?command=true&output=1", "v4.channel.k8s.io")
    await peer.open(error=1)
    await peer.peer.close()


async def test_port_forward_by_spdy(site: Site) -> None:
    """The tunnel's streams work on the connection itself too."""
    await site.run(NGINX)
    peer = await Peer.connect(site, "/portForward/default/p", "portforward.k8s.io")
    head = {"port": "80", "requestid": "0"}
    await peer.peer.write(peer.encoder.open(1, head | {"streamtype": "error"}, finish=True))
    await peer.peer.write(peer.encoder.open(3, head | {"streamtype": "data"}))
    await peer.peer.write(data_frame(3, b"GET /hostname HTTP/1.0\r\n\r\n"))
    while Data(3, b"", is_finished=True) not in peer.frames:
        peer.frames += peer.decoder.feed(await peer.peer.read())
    await peer.peer.close()
    text = b"".join(frame.data for frame in peer.frames if isinstance(frame, Data) and frame.stream == 3)
    assert text.endswith(b"\r\n\r\np")
