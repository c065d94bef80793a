"""What a scene works with: manifests, waits on watches, commands in pods, connections from this machine."""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from miniplane import components
from miniplane.api import meta, wellknown
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.cli import resources
from miniplane.cli.apply import apply_all
from miniplane.client import Apply, Bookmark, Client, Delete, Init, InitApply, InitDone
from miniplane.client.streams import Execution, run
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import NODE, POD

PATIENCE_S = 30.0
"""How long any one thing may take to come true before the story says that it failed."""
OK = 200
CONNECT_S = 2
"""How long a connection may take; a dropped packet is noticed after this."""


class NotSo(AssertionError):
    """A claim does not hold; the message says what was seen instead."""


def claim(holds: object, seen: str) -> None:
    """Fail loudly, with what was seen, unless the claim holds."""
    if not holds:
        raise NotSo(seen)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as this machine or a pod got it; code 0 means that no connection came about."""

    code: int
    body: str


@dataclass(slots=True)
class Stage:
    """A running cluster, and how many nodes it must have before anything is done with it."""

    client: Client
    nodes: int = 1

    async def apply(self, name: str) -> None:
        """Apply a manifest of the demo's folder."""
        await apply_all(self.client, resources.load([str(components.folder("demo") / name)]))

    async def clear(self, kind: Kind, name: str, namespace: str = "default") -> None:
        """Delete what an earlier run of the story left, if it did."""
        with contextlib.suppress(NotFound):
            await self.client.delete(kind, Key(namespace, name))

    async def until(
        self, kind: Kind, holds: Callable[[list[Object]], object], what: str, namespace: str = ""
    ) -> list[Object]:
        """Follow a kind until `holds` of its objects; gives them. Raises NotSo with the last state that was seen."""
        objects: dict[Key, Object] = {}
        complete = False
        events = self.client.watch(kind, namespace)
        try:
            async with asyncio.timeout(PATIENCE_S), contextlib.aclosing(events):
                async for event in events:
                    match event:
                        case Init():
                            objects.clear()
                        case InitApply(obj) | Apply(obj):
                            objects[meta.key_of(obj)] = obj
                        case Delete(obj):
                            objects.pop(meta.key_of(obj), None)
                        case InitDone():
                            complete = True
                        case Bookmark():
                            pass
                    if complete and holds(list(objects.values())):
                        return list(objects.values())
        except TimeoutError:
            raise NotSo(f"{what}: not so after {PATIENCE_S:.0f} s; there are {_names(objects.values())}") from None
        raise NotSo(f"{what}: the watch ended")

    async def eventually(self, check: Callable[[], Awaitable[None]], what: str) -> None:
        """Do a check again and again until it holds: for what shows only in traffic, not in any object."""
        last: Exception | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        await check()
                    except (NotSo, ApiError) as error:
                        last = error
                    else:
                        return
                    await self.client.clock.sleep(0.1)
        except TimeoutError:
            raise NotSo(f"{what}: {last}") from None

    async def pods(self, labels: str = "", namespace: str = "default") -> list[Object]:
        """The pods that a selector takes and that are to stay, by name."""
        items = (await self.client.list(POD, namespace, labels=labels)).items
        return sorted((pod for pod in items if not meta.is_deleted(pod)), key=meta.name)

    async def execute(self, pod: Object, *command: str, container: str = "") -> Execution:
        """Run a command in a pod."""
        first = pod["spec"]["containers"][0]["name"]
        return await run(self.client, meta.key_of(pod), command, container=container or first)

    async def curl(self, pod: Object, url: str, *flags: str, container: str = "") -> Answer:
        """GET a URL from a pod."""
        command = ("curl", "-s", "-m", str(CONNECT_S), "-w", "\n%{http_code}", *flags, url)
        done = await self.execute(pod, *command, container=container)
        body, _, code = done.output.rpartition("\n")
        return Answer(int(code or 0) if done.code == 0 else 0, body)

    async def connects(self, pod: Object, host: str, port: int) -> bool:
        """Whether a TCP connection from a pod comes about."""
        return (await self.execute(pod, "nc", "-z", "-w", str(CONNECT_S), host, str(port))).code == 0

    async def tally(self, ask: Callable[[], Awaitable[Answer]], times: int) -> Counter[str]:
        """Ask many times; `{answer: how often}`."""
        answers = await asyncio.gather(*(ask() for _ in range(times)))
        return Counter(answer.body.strip() if answer.code == OK else f"({answer.code})" for answer in answers)

    async def outside(self, address: str, port: int) -> tuple[str, int]:
        """Where this machine reaches an address and port of the cluster, waiting until an agent offers it."""
        inside = f"{address}:{port}/TCP"

        def offered(nodes: list[Object]) -> str:
            tables = (json.loads(meta.annotations(node).get(wellknown.HOST_PORTS, "{}")) for node in nodes)
            return next((table[inside] for table in tables if inside in table), "")

        nodes = await self.until(NODE, offered, f"{inside} reachable from this machine")
        host, _, number = offered(nodes).rpartition(":")
        return host, int(number)

    async def fetch(self, where: tuple[str, int], path: str = "/", host: str = "") -> Answer:
        """GET from this machine, over a real socket."""
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(*where)
                try:
                    name = host or where[0]
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                    answer = await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return Answer(0, "")
        head, _, body = answer.partition(b"\r\n\r\n")
        code = re.match(rb"HTTP/1\.1 (\d+)", head)
        if b"chunked" in head.lower():
            body = _unchunked(body)
        return Answer(int(code[1]) if code else 0, body.decode(errors="replace"))


def _unchunked(data: bytes) -> bytes:
    whole = bytearray()
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if not length:
            break
        whole += rest[:length]
        data = rest[length + 2 :]
    return bytes(whole)


def _names(objects: Iterable[Object]) -> str:
    return ", ".join(sorted(str(meta.key_of(obj)) for obj in objects)) or "none"
