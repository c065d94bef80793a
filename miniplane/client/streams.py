"""Commands in containers: the channels of `exec`, over a WebSocket.

Each message begins with a channel number; protocol v5 can also say that a channel ends.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from miniplane import errors
from miniplane.aio import stop
from miniplane.api.meta import Key
from miniplane.client.client import Client

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


class Channel(IntEnum):
    """The first byte of a message."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    CLOSE = 255


@dataclass(frozen=True, slots=True)
class Execution:
    """What a command printed and its exit code."""

    code: int
    output: str
    errors: str


def exit_code(status: dict[str, Any]) -> int:
    """The exit code that a final Status tells. Raises ApiError where the command could not be run at all."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise errors.from_status(status, status.get("code", 500))


async def execute(
    client: Client,
    pod: Key,
    command: Sequence[str],
    *,
    container: str = "",
    stdin: asyncio.StreamReader | None = None,
    write: Callable[[Channel, bytes], None],
) -> int:
    """Run a command in a container and give its exit code; `write` gets output as it comes."""
    query = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
    query += [("container", container)] if container else []
    query += [("stdin", "true")] if stdin else []
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
    async with client.websocket(path, urlencode(query), PROTOCOLS) as socket:
        feeding = asyncio.create_task(_feed(socket, stdin)) if stdin else None
        try:
            return await _receive(socket, write)
        finally:
            if feeding:
                await stop(feeding)


async def _feed(socket: aiohttp.ClientWebSocketResponse, stdin: asyncio.StreamReader) -> None:
    while data := await stdin.read(32768):
        await socket.send_bytes(bytes([Channel.STDIN]) + data)
    if socket.protocol == PROTOCOLS[0]:
        await socket.send_bytes(bytes([Channel.CLOSE, Channel.STDIN]))


async def _receive(socket: aiohttp.ClientWebSocketResponse, write: Callable[[Channel, bytes], None]) -> int:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == Channel.ERROR:
            return exit_code(orjson.loads(data))
        if channel in (Channel.STDOUT, Channel.STDERR) and data:
            write(Channel(channel), data)
    raise errors.Unavailable("the connection to the container ended without a status")


async def run(client: Client, pod: Key, command: Sequence[str], *, container: str = "") -> Execution:
    """As `execute`, with the output collected."""
    collected = {Channel.STDOUT: bytearray(), Channel.STDERR: bytearray()}
    code = await execute(
        client, pod, command, container=container, write=lambda channel, data: collected[channel].extend(data)
    )
    out, err = (collected[channel].decode(errors="replace") for channel in (Channel.STDOUT, Channel.STDERR))
    return Execution(code, out, err)
