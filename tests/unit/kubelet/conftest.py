"""A pod with one container, and what it needs around it."""

from collections.abc import Sequence
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from agents.kubelet.applets.base import Text
from agents.kubelet.applets.command import Streams, run
from agents.kubelet.images.base import ContainerContext
from agents.kubelet.resolver import Resolver
from miniplane.dataplane.dns_resolv import ResolvConf
from tests.unit.kubelet.fakes import ManualClock, MemoryNetwork

SERVER = "10.96.0.10"
CONF = ResolvConf((SERVER,), ("default.svc.cluster.local", "svc.cluster.local", "cluster.local"), {"ndots": "5"})


class Bench:
    """One pod with one container at 10.244.1.2, and a client beside it."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.clock = ManualClock()
        self.lines: list[str] = []
        self.events: list[tuple[str, str, str]] = []
        self.out = bytearray()
        self.err = bytearray()
        self.files: dict[str, str] = {}

    async def context(
        self, *ports: int, args: Sequence[str] = (), udp: Sequence[int] = (), **more: Any
    ) -> ContainerContext:
        """The context of container `c` in pod default/p."""
        link = await self.network.attach("uid", "10.244.1.2")
        declared: list[dict[str, Any]] = [{"containerPort": port} for port in ports]
        declared += [{"containerPort": port, "protocol": "UDP"} for port in udp]
        container = {"name": "c", "image": "some/image:1", "ports": declared}
        return ContainerContext(
            pod={"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [container]}},
            container=container,
            node="node-1",
            link=link,
            names=Resolver(link, CONF, "127.0.0.1\tlocalhost\n10.244.1.2\tp\n"),
            clock=self.clock,
            log=self.lines.append,
            event=lambda *event: self.events.append(event),
            args=args,
            **{"files": self.files, **more},
        )

    async def run(self, *argv: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, standard output and error of a command in the container."""
        self.out.clear()
        self.err.clear()
        streams = Streams(stdout=self.out.extend, stderr=self.err.extend, stdin=Text(stdin.encode()))
        code = await run(await self.context(env={"HOSTNAME": "p", "WHO": "me"}), argv, streams)
        return code, self.out.decode(), self.err.decode()

    async def sh(self, script: str) -> tuple[int, str, str]:
        """The same of a script."""
        return await self.run("sh", "-c", script)

    async def serve_names(self, names: dict[str, str]) -> list[str]:
        """A nameserver that knows these A records; returns the list of the names it is asked for."""
        link = await self.network.attach("dns", SERVER)
        asked: list[str] = []

        def receive(data: bytes, host: str, port: int) -> None:
            question = dns.message.from_wire(data)
            answer = dns.message.make_response(question)
            name, kind = question.question[0].name, question.question[0].rdtype
            asked.append(name.to_text())
            if (address := names.get(name.to_text().rstrip("."))) is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif kind == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(name, 5, "IN", "A", address))
            socket.send(answer.to_wire(), host, port)

        socket = await link.bind(receive, 53)
        return asked


@pytest.fixture
def bench() -> Bench:
    """A pod."""
    return Bench()
