"""What the built-in images answer."""

import asyncio
import json

import pytest

from agents.kubelet.http import Request, fetch
from agents.kubelet.images.base import DRAIN_S, KILLED, Image
from agents.kubelet.images.database import Database
from agents.kubelet.images.echo import Echo
from agents.kubelet.images.pause import Ends, Pause
from agents.kubelet.images.sidecar import Sidecar
from agents.kubelet.images.web import HttpEcho, NetExec, WebServer
from agents.kubelet.streams import connect
from tests.unit.kubelet.conftest import Bench
from tests.unit.kubelet.fakes import settle


async def get(bench: Bench, port: int, target: str = "/", accept: str = "application/json") -> tuple[int, str]:
    """Status and body, asked from the node."""
    request = Request(host="10.244.1.2", port=port, target=target, headers=[("Accept", accept)])
    answer = await fetch(bench.network.host(), request)
    return answer.status, answer.body.decode()


async def test_web_server_tells_who_answers_and_whom_it_saw(bench: Bench) -> None:
    """The JSON page names pod, namespace, node, port, path and the client's address."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    status, body = await get(bench, 80, "/a?b=c")
    facts = json.loads(body)
    assert status == 200
    assert (facts["pod"], facts["namespace"], facts["node"], facts["port"]) == ("p", "default", "node-1", 80)
    assert facts["client"]["address"] == "172.30.0.11"
    assert facts["path"] == "/a?b=c"
    await running.kill()


async def test_web_server_serves_default_and_declared_ports(bench: Bench) -> None:
    """An nginx with containerPort 8000 answers on 80 and on 8000."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context(8000))
    assert [(await get(bench, port))[0] for port in (80, 8000)] == [200, 200]
    await running.kill()


@pytest.mark.parametrize(("accept", "begins"), [("text/html", "<!doctype html>"), ("*/*", "pod: p\n")])
async def test_form_follows_the_accept_header(bench: Bench, accept: str, begins: str) -> None:
    """Browsers get HTML, curl gets text."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    assert (await get(bench, 80, accept=accept))[1].startswith(begins)
    await running.kill()


@pytest.mark.parametrize(
    ("path", "text"), [("/healthz", "ok"), ("/hostname", "p"), ("/echo?msg=hi", "hi"), ("/header?key=Accept", "*/*")]
)
async def test_well_known_paths(bench: Bench, path: str, text: str) -> None:
    """The short paths answer as netexec does."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    assert await get(bench, 80, path, accept="*/*") == (200, text)
    await running.kill()


async def test_mounted_pages_are_served(bench: Bench) -> None:
    """A ConfigMap mounted at nginx' document root is what nginx answers with."""
    files = {"/usr/share/nginx/html/index.html": "<p>mine"}
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context(files=files))
    assert await get(bench, 80) == (200, "<p>mine")
    await running.kill()


async def test_exit_ends_the_container_with_the_code(bench: Bench) -> None:
    """GET /exit?code=3 makes the container end with 3 and its port closed."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    await get(bench, 80, "/exit?code=3")
    assert await running.exited == 3
    with pytest.raises(ConnectionRefusedError):
        await get(bench, 80)


async def test_termination_drains_before_it_closes(bench: Bench) -> None:
    """After SIGTERM the server answers until the drain time is over, then ends with 0."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    running.terminate()
    running.terminate()
    await bench.clock.advance(DRAIN_S / 2)
    assert (await get(bench, 80))[0] == 200
    await bench.clock.advance(DRAIN_S)
    assert await running.exited == 0


async def test_kill_ends_with_137(bench: Bench) -> None:
    """SIGKILL closes everything at once, also during a drain."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    running.terminate()
    await settle()
    await running.kill()
    await running.kill()
    assert running.exited.result() == KILLED
    assert not bench.network.listening


async def test_port_in_use_fails_the_start(bench: Bench) -> None:
    """The second server of a pod on one port fails and leaves its other ports closed."""
    running = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    with pytest.raises(OSError, match="in use"):
        await WebServer(name="nginx", ports=[8080, 80]).start(await bench.context())
    assert set(bench.network.listening) == {("10.244.1.2", 80)}
    assert any("in use" in line for line in bench.lines)
    await running.kill()


async def test_unknown_image_says_that_it_is_stood_in_for(bench: Bench) -> None:
    """The notice is an event and the first line of the log."""
    running = await WebServer(name="unknown", notice="{image} is emulated").start(await bench.context(9000))
    assert bench.events == [("Normal", "Emulated", "some/image:1 is emulated")]
    assert bench.lines[0] == "some/image:1 is emulated"
    assert (await get(bench, 9000))[0] == 200
    await running.kill()


async def test_http_echo_flags(bench: Bench) -> None:
    """-text, -listen and -status-code do what the original's do."""
    running = await HttpEcho().start(await bench.context(args=["-text=hello", "-listen=:5000", "-status-code=418"]))
    assert await get(bench, 5000) == (418, "hello\n")
    await running.kill()


async def test_http_echo_needs_its_text(bench: Bench) -> None:
    """Without -text it ends with an error."""
    running = await HttpEcho().start(await bench.context())
    assert await running.exited == 127


@pytest.mark.parametrize(("question", "answer"), [(b"hostname", b"p"), (b"echo a b", b"a b")])
async def test_netexec_speaks_udp(bench: Bench, question: bytes, answer: bytes) -> None:
    """The UDP port knows hostname and echo."""
    running = await NetExec().start(await bench.context(args=["--http-port=80", "--udp-port", "90"]))
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    socket = await bench.network.host().bind(lambda data, _host, _port: got.set_result(data))
    socket.send(question, "10.244.1.2", 90)
    assert await got == answer
    assert (await get(bench, 80, "/clientip", accept="*/*"))[1].startswith("172.30.0.11:")
    socket.close()
    await running.kill()


async def test_echo_sends_back(bench: Bench) -> None:
    """What goes in on TCP comes out, and a connection ends with the container."""
    running = await Echo().start(await bench.context(7000))
    async with connect(bench.network.host(), "10.244.1.2", 7000) as stream:
        stream.writer.write(b"ping")
        assert await stream.reader.readexactly(4) == b"ping"
        await running.kill()
        assert await stream.reader.read() == b""


async def test_database_greets_and_answers_ping(bench: Bench) -> None:
    """A client gets a greeting that names the pod, and +PONG for PING."""
    running = await Database(6379).start(await bench.context())
    async with connect(bench.network.host(), "10.244.1.2", 6379) as stream:
        assert b"default/p" in await stream.reader.readline()
        stream.writer.write(b"PING\r\n")
        assert await stream.reader.readline() == b"+PONG\r\n"
    await running.kill()


async def test_sidecar_sees_its_neighbour_on_localhost(bench: Bench) -> None:
    """It logs an answer from localhost now and again, and a failure once the neighbour is gone."""
    web = await WebServer(name="nginx", ports=[80]).start(await bench.context())
    sidecar = await Sidecar().start(await bench.context())
    await settle()
    assert any("http://localhost:80/ answered 200" in line for line in bench.lines)
    await web.kill()
    await bench.clock.advance(5)
    assert bench.lines[-1].startswith("http://localhost:80/ failed")
    sidecar.terminate()
    assert await sidecar.exited == 143


@pytest.mark.parametrize(("image", "code"), [(Ends(0), 0), (Ends(2, "bad"), 2)])
async def test_images_that_end_at_once(bench: Bench, image: Image, code: int) -> None:
    """A base image's shell without input ends."""
    assert await (await image.start(await bench.context())).exited == code


async def test_pause_runs_until_stopped(bench: Bench) -> None:
    """Pause does nothing until it is killed."""
    running = await Pause().start(await bench.context())
    await bench.clock.advance(1000)
    assert not running.exited.done()
    await running.kill()
