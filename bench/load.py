"""The load, in a process of its own: a plan as JSON on standard input, what was measured as JSON on standard output.

Speaks just enough HTTP/1.1 to be cheaper than what it measures: requests are made beforehand, answers are counted.
"""

import asyncio
import functools
import re
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import orjson
import uvloop

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_MADE = re.compile(rb'"made":"([0-9.]+)"')


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request's bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode() + b"\r\n" + body


def late(delays: list[float]) -> dict[str, float]:
    """The median and the 99th percentile."""
    ordered = sorted(delays) or [0.0]
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100]}


class Client(asyncio.Protocol):
    """Sends the next request as soon as the last is answered, until there is none."""

    def __init__(self, requests: Iterator[bytes], delays: list[float], codes: dict[int, int]) -> None:
        self._requests = requests
        self._delays = delays
        self._codes = codes
        self._buffer = bytearray()
        self._need = -1
        self._sent = 0.0
        self.size = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        """A lost connection ends the client; the counts tell."""
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Count whole answers."""
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end])
            found = _LENGTH.search(head)
            self.size = int(found[1]) if found else 0
            self._need = end + 4 + self.size
            code = int(head[9:12])
            self._codes[code] = self._codes.get(code, 0) + 1
        if len(self._buffer) >= self._need:
            del self._buffer[: self._need]
            self._need = -1
            self._delays.append(time.perf_counter() - self._sent)
            self._next()

    def _next(self) -> None:
        data = next(self._requests, None)
        if data is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(data)


class Watcher(asyncio.Protocol):
    """Counts the events of a watch, and their age where `sampled`."""

    def __init__(self, path: str, delays: list[float] | None) -> None:
        self._path = path
        self._delays = delays
        self._last = b""
        self.seen = 0
        self.target = sys.maxsize
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(request("GET", self._path))

    def data_received(self, data: bytes) -> None:
        """The head, then an object to a line, however the pieces are cut."""
        if not self.begun.done():
            self.begun.set_result(None)
        self.seen += data.count(b"}\n") + (self._last == b"}" and data[:1] == b"\n")
        self._last = data[-1:]
        if self._delays is not None:
            now = time.time()
            self._delays.extend(now - float(made) for made in _MADE.findall(data))
        if self.seen >= self.target and not self.reached.done():
            self.reached.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        """A watch that ends early is one that lost events; the counts tell."""
        for future in (self.begun, self.reached):
            if not future.done():
                future.set_result(None)


async def requests(plan: dict[str, Any]) -> dict[str, Any]:
    """`count` requests by `clients` clients; `{n}` in path and body is the request's number."""

    def made() -> Iterator[bytes]:
        for number in range(plan["first"], plan["first"] + plan["count"]):
            text = str(number)
            yield request(plan["method"], plan["path"], plan["body"].replace("{n}", text).encode())

    waiting = iter(list(made()))
    delays: list[float] = []
    codes: dict[int, int] = {}
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: Client(waiting, delays, codes), "127.0.0.1", plan["port"]))[1]
        for _ in range(plan["clients"])
    ]
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        **late(delays),
        "codes": codes,
        "size": max(client.size for client in clients),
    }


async def watches(plan: dict[str, Any]) -> dict[str, Any]:
    """`watchers` watches of `path`, then `writes` updates at `pace_s`; until every watch has seen them all."""
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    watchers: list[Watcher] = []
    for number in range(plan["watchers"]):
        make = functools.partial(Watcher, plan["path"], delays if number % 50 == 0 else None)
        _, protocol = await loop.create_connection(make, "127.0.0.1", plan["port"])
        watchers.append(protocol)
        await protocol.begun
    for watcher in watchers:
        watcher.target = watcher.seen + plan["writes"]
    before = sum(watcher.seen for watcher in watchers)
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", plan["port"])
    for number in range(plan["writes"]):
        body = plan["body"].replace("{made}", f"{time.time():.6f}").encode()
        writer.write(request("PUT", plan["write_path"], body))
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        await reader.readexactly(int(found[1]) if found else 0)
        await asyncio.sleep(max(0.0, start + (number + 1) * plan["pace_s"] - time.perf_counter()))
    await asyncio.wait([watcher.reached for watcher in watchers], timeout=plan["wait_s"])
    seconds = time.perf_counter() - start
    writer.close()
    for watcher in watchers:
        watcher.transport.close()
    seen = sum(watcher.seen for watcher in watchers) - before
    return {"seconds": seconds, **late(delays), "seen": seen}


def main() -> None:
    """Do the plan."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    plan = orjson.loads(sys.stdin.buffer.read())
    work = watches if "watchers" in plan else requests
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(work(plan))
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS))


if __name__ == "__main__":
    main()
