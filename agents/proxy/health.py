"""Health-check node ports: where a balancer outside asks whether this node has ready endpoints of a Service.

A balancer under `externalTrafficPolicy: Local` must send clients only to nodes with endpoints. Each such Service has a
port of its own on every node's address; the answer is 200 with the number of local ready endpoints, or 503 for none.
Counterpart upstream: pkg/proxy/healthcheck.
"""

import asyncio
import json
from collections.abc import Callable
from typing import cast

from miniplane.dataplane.program import HealthCheck, Program
from miniplane.observe import logs

from ..network.base import Link, Listener
from .backends.base import Backend

log = logs.get("agents.proxy.health")

MAX_REQUEST = 16 * 1024
"""Whoever sends more before the end of the headers is hung up on."""
WEIGHT = "X-Load-Balancing-Endpoint-Weight"
"""Header with the number of endpoints, for balancers that weigh nodes."""


def answer(check: HealthCheck) -> bytes:
    """The whole HTTP response for the present state of a check; any path and method is the question."""
    body = json.dumps(
        {
            "service": {"namespace": check.namespace, "name": check.service},
            "localEndpoints": check.endpoints,
            "serviceProxyHealthy": True,
        },
        indent=4,
    ).encode()
    head = [
        f"HTTP/1.1 {'200 OK' if check.is_passed else '503 Service Unavailable'}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"{WEIGHT}: {check.endpoints}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


class _Answerer(asyncio.Protocol):
    """One connection: reads a request's head, answers, closes."""

    def __init__(self, present: Callable[[], bytes]) -> None:
        self._present = present
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._read += data
        if b"\r\n\r\n" in self._read or b"\n\n" in self._read:
            self._transport.write(self._present())
            self._transport.close()
        elif len(self._read) > MAX_REQUEST:
            self._transport.abort()


class HealthServing:
    """A backend that also answers the program's health checks, on the node's own link.

    Answers change with the rules and never before them: a node that says "here" has its endpoints in force.
    """

    def __init__(self, backend: Backend, host: Link) -> None:
        self._backend = backend
        self._host = host
        self._checks: dict[int, HealthCheck] = {}
        self._listeners: dict[int, Listener] = {}

    async def apply(self, program: Program) -> None:
        """See `Backend`. A port that something else has is named in the log and tried again with the next program."""
        await self._backend.apply(program)
        self._checks = {check.port: check for check in program.health_checks}
        for port in self._listeners.keys() - self._checks.keys():
            self._listeners.pop(port).close()
        for port in self._checks.keys() - self._listeners.keys():
            try:
                self._listeners[port] = await self._host.listen(self._factory(port), port)
            except OSError as error:
                log.warning("health-check node port can't be had", port=port, error=error)

    def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def _factory(self, port: int) -> Callable[[], asyncio.BaseProtocol]:
        return lambda: _Answerer(lambda: answer(self._checks[port]))
