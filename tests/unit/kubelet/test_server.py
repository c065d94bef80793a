"""The kubelet's server: logs, exec, attach, port-forward."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry
from yarl import URL

from agents.kubelet.kubelet import Addresses, Kubelet
from agents.kubelet.server.app import Server, organisations
from miniplane import upgrade
from miniplane.api.kind import Object
from tests.unit.kubelet.fakes import settle
from tests.unit.kubelet.test_pods import NGINX, World, shell

V5 = "v5.channel.k8s.io"


class Site:
    """A kubelet with pods, and its server on a real socket."""

    def __init__(self) -> None:
        self.world = World()
        self.kubelet = Kubelet(self.world.host(), Addresses())
        self.session: aiohttp.ClientSession
        self.url = ""

    async def run(self, *containers: Object) -> None:
        """A pod default/p with these containers."""
        pod = {
            "metadata": {"name": "p", "namespace": "default", "uid": "u1"},
            "spec": {"containers": list(containers), "nodeName": "node-1"},
        }
        self.kubelet.pod_changed(None, pod)
        await settle()

    async def report(self, pod: Object, status: Object) -> int:  # noqa: ARG002 - the contract of PodApi
        """Statuses go nowhere."""
        return 0

    async def get(self, path: str, **query: str) -> tuple[int, str]:
        """Status and text of a GET."""
        async with self.session.get(self.url + path, params=query) as answer:
            return answer.status, await answer.text()

    async def exec(self, *argv: str, stdin: bytes | None = None, **query: str) -> tuple[dict[int, bytes], Any]:
        """What came on each channel, and the final Status."""
        params = [("command", word) for word in argv] + list(query.items())
        channels: dict[int, bytes] = {}
        url = self.url + "/exec/default/p/main"
        async with self.session.ws_connect(url, protocols=(V5,), params=params) as socket:
            if stdin is not None:
                await socket.send_bytes(b"\x00" + stdin)
                await socket.send_bytes(b"\xff\x00")
            async for message in socket:
                channels[message.data[0]] = channels.get(message.data[0], b"") + message.data[1:]
            assert socket.close_code == 1000
        return channels, json.loads(channels.pop(3))


def rules(query: Mapping[str, str]) -> str:
    """What the node would say of its rules."""
    if "service" in query:
        raise LookupError('Service "default/x" not found')
    if query:
        raise ValueError("unknown parameter")
    return "rules"


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A running kubelet and its server."""
    made = Site()
    monkeypatch.setattr(made.world, "report", made.report)
    task = asyncio.create_task(made.kubelet.run())
    server = Server(made.kubelet, made.world.clock, registry=CollectorRegistry(), tables=rules, is_open=True)
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as made.session:
        yield made
    await runner.cleanup()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_logs_with_their_options(site: Site) -> None:
    """All lines, the last ones, with times, and cut at a number of bytes."""
    await site.run(shell("echo one; sleep 10; echo two; sleep 100"))
    await site.world.clock.advance(10)
    path = "/containerLogs/default/p/main"
    assert await site.get(path) == (200, "one\ntwo\n")
    assert await site.get(path, tailLines="1") == (200, "two\n")
    assert await site.get(path, sinceSeconds="5") == (200, "two\n")
    assert await site.get(path, limitBytes="5") == (200, "one\nt")
    assert (await site.get(path, tailLines="1", timestamps="true"))[1] == "2026-01-01T00:00:10.000000000Z two\n"


async def test_followed_log_ends_with_the_container(site: Site) -> None:
    """Follow gives the lines that come, and ends when the container does."""
    await site.run(shell("echo one; sleep 10; echo two"))
    async with site.session.get(f"{site.url}/containerLogs/default/p/main", params={"follow": "true"}) as answer:
        assert await answer.content.readline() == b"one\n"
        await site.world.clock.advance(10)
        assert await answer.content.read() == b"two\n"


async def test_previous_log(site: Site) -> None:
    """After a restart `previous` gives the run before; without one it is refused."""
    await site.run(shell("echo run; sleep 5; exit 1"))
    path = "/containerLogs/default/p/main"
    status, text = await site.get(path, previous="true")
    assert (status, text) == (400, 'previous terminated container "main" in pod "p" not found')
    await site.world.clock.advance(6)
    assert await site.get(path, previous="true") == (200, "run\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/containerLogs/default/nobody/main", 404),
        ("/containerLogs/default/p/nobody", 400),
        ("/containerLogs/default/p/main?tailLines=x", 400),
        ("/containerLogs/default/p/main?tailLines=-1", 400),
        ("/containerLogs/default/p/main?sinceTime=yesterday", 400),
        ("/exec/default/p/main?command=true", 400),
        ("/exec/default/p/main", 400),
        ("/portForward/default/p?ports=0", 400),
    ],
)
async def test_bad_requests(site: Site, path: str, status: int) -> None:
    """What is not there is 404, what makes no sense 400."""
    await site.run(shell("sleep 100"))
    assert (await site.get(path))[0] == status


async def test_plain_paths(site: Site) -> None:
    """Health, rules and the pods of the node."""
    await site.run(shell("sleep 100"))
    assert await site.get("/healthz") == (200, "ok")
    assert await site.get("/tables") == (200, "rules")
    assert await site.get("/tables", service="x") == (404, 'Service "default/x" not found')
    assert await site.get("/tables", nonsense="x") == (400, "unknown parameter")
    assert json.loads((await site.get("/pods"))[1])["items"][0]["metadata"]["name"] == "p"
    assert (await site.get("/metrics"))[0] == 200


async def test_exec_streams_and_exit_code(site: Site) -> None:
    """Output and errors come on their channels, the code in the Status' cause."""
    await site.run(shell("sleep 100"))
    channels, status = await site.exec("sh", "-c", "echo out; nothing; exit 3", stdout="true", stderr="true")
    assert channels == {1: b"out\n", 2: b"sh: nothing: not found\n"}
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert (await site.exec("true", stdout="true"))[1]["status"] == "Success"


async def test_exec_reads_standard_input(site: Site) -> None:
    """Input arrives, and v5's close message ends it."""
    await site.run(shell("sleep 100"))
    channels, _ = await site.exec("cat", stdin=b"hello", input="1", output="1")
    assert channels == {1: b"hello"}


async def test_exec_of_a_failing_applet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in an applet ends the command with a Status that names it, not the connection without one."""

    async def broken(*_: object) -> int:
        raise LookupError("a bug")

    await site.run(shell("sleep 100"))
    monkeypatch.setattr("agents.kubelet.server.exec.run", broken)
    _, status = await site.exec("true", stdout="true")
    assert (status["status"], "LookupError('a bug')" in status["message"]) == ("Failure", True)


async def test_exec_on_a_terminal(site: Site) -> None:
    """With a tty keys are echoed, lines end with CR LF, and Ctrl-D ends the shell."""
    await site.run(shell("sleep 100"))
    keys = b"echo hix\x7f\r\x04"
    channels, status = await _tty(site, keys)
    assert channels[1] == b"/ # echo hix\b \b\r\nhi\r\n/ # "
    assert status["status"] == "Success"


async def _tty(site: Site, keys: bytes) -> tuple[dict[int, bytes], Any]:
    params = [("command", "sh"), ("stdin", "true"), ("stdout", "true"), ("tty", "true")]
    channels: dict[int, bytes] = {}
    async with site.session.ws_connect(f"{site.url}/exec/default/p/main", protocols=(V5,), params=params) as socket:
        first = await socket.receive_bytes()
        channels[first[0]] = first[1:]
        for key in keys:
            await socket.send_bytes(bytes([0, key]))
            if key == 0x0D:
                while not channels[1].endswith(b"hi\r\n/ # "):
                    data = await socket.receive_bytes()
                    channels[data[0]] = channels.get(data[0], b"") + data[1:]
        async for message in socket:
            channels[message.data[0]] = channels.get(message.data[0], b"") + message.data[1:]
    return channels, json.loads(channels.pop(3))


async def test_client_that_leaves_ends_the_command(site: Site) -> None:
    """A command of a client that has gone is stopped, and leaves no task."""
    await site.run(shell("sleep 100"))
    params = [("command", "sleep"), ("command", "infinity")]
    async with site.session.ws_connect(f"{site.url}/exec/default/p/main", protocols=(V5,), params=params):
        await settle()
        assert [task for task in asyncio.all_tasks() if task.get_name() == "exec"]
    for _ in range(100):
        await asyncio.sleep(0)
        if not [task for task in asyncio.all_tasks() if task.get_name().startswith("exec")]:
            return
    pytest.fail("the command still runs")


async def test_attach_shows_what_comes(site: Site) -> None:
    """Attach gives the lines from now on and the exit code at the end."""
    await site.run(shell("echo before; sleep 10; echo after; exit 4"))
    url = f"{site.url}/attach/default/p/main"
    async with site.session.ws_connect(url, protocols=(V5,), params={"stdout": "true"}) as socket:
        await settle()
        await site.world.clock.advance(10)
        assert await socket.receive_bytes() == b"\x01after\n"
        status = json.loads((await socket.receive_bytes())[1:])
        assert status["details"]["causes"][0]["message"] == "4"


async def test_port_forward_by_channels(site: Site) -> None:
    """Each channel begins with its port; bytes go to the pod's localhost and back."""
    await site.run(NGINX)
    url = f"{site.url}/portForward/default/p"
    async with site.session.ws_connect(url, protocols=("v4.channel.k8s.io",), params={"ports": "80"}) as socket:
        assert await socket.receive_bytes() == b"\x00\x50\x00"
        assert await socket.receive_bytes() == b"\x01\x50\x00"
        await socket.send_bytes(b"\x00GET /hostname HTTP/1.0\r\n\r\n")
        got = b""
        async for message in socket:
            assert message.data[0] == 0
            got += message.data[1:]
        assert got.startswith(b"HTTP/1.0 200 OK")
        assert got.endswith(b"\r\n\r\np")


async def test_port_forward_to_a_closed_port(site: Site) -> None:
    """The error channel says that nobody listens."""
    await site.run(NGINX)
    url = f"{site.url}/portForward/default/p"
    async with site.session.ws_connect(url, protocols=("v4.channel.k8s.io",), params={"ports": "81"}) as socket:
        messages = [message.data async for message in socket]
    assert messages[2] == b"\x01error forwarding port 81 to pod: connection refused"


def test_organisations_of_a_certificate() -> None:
    """The groups are the organisation names of the subject."""
    subject = ((("organizationName", "system:masters"),), (("commonName", "kube-apiserver"),))
    assert organisations({"subject": subject}) == ["system:masters"]
    assert organisations({}) == []


async def dialled(site: Site, **query: str) -> upgrade.Opened:
    """A connection that the node has made."""
    url = URL(site.url)
    target = f"/dial?{urlencode(query)}"
    headers = CIMultiDict({"Host": url.authority, "Connection": "Upgrade", "Upgrade": "tcp"})
    asked = upgrade.Asked(method="POST", target=target, headers=headers)
    return await upgrade.connect(url.host or "", url.port or 0, asked, tls=None, timeout_s=5)


async def test_dial_reaches_a_pod(site: Site) -> None:
    """The node connects to a pod's address and passes bytes; a closed port is told."""
    await site.run(NGINX)
    link = next(iter(site.kubelet)).link
    assert link is not None
    peer = await dialled(site, host=link.ip, port="80")
    await peer.write(b"GET /hostname HTTP/1.0\r\n\r\n")
    text = b""
    while data := await peer.read():
        text += data
    await peer.close()
    assert text.endswith(b"\r\n\r\np")
    with pytest.raises(upgrade.Refused) as caught:
        await dialled(site, host=link.ip, port="81")
    assert caught.value.body.decode() == f"dial tcp {link.ip}:81: connect: connection refused"
    async with site.session.post(f"{site.url}/dial?host=x&port=80") as answer:
        assert answer.status == 400
