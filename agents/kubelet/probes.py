"""Probes and lifecycle hooks: what the node asks of a container, and how it counts the answers.

HTTP and TCP go out from the node's own link, so the node's rules hold for them; exec runs an applet in the container.
Counterpart upstream: kubelet's prober and lifecycle handlers.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from miniplane.aio import Clock
from miniplane.api.kind import Object

from ..network.base import Link
from .applets.command import Streams, run
from .http import BadResponse, Request, fetch
from .images.base import ContainerContext
from .streams import connect, insecure_tls

_AGENT = "kube-probe/1.33"
_OUTPUT_LIMIT = 10_000
_HOOK_TIMEOUT_S = 30.0
_OK = range(200, 400)


@dataclass(frozen=True, slots=True)
class Timing:
    """A probe's numbers, with upstream's defaults."""

    initial_delay_s: float
    period_s: float
    timeout_s: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Object) -> "Timing":
        """From the probe's fields; 0 counts as not given, as upstream."""
        return cls(
            probe.get("initialDelaySeconds") or 0,
            probe.get("periodSeconds") or 10,
            probe.get("timeoutSeconds") or 1,
            probe.get("successThreshold") or 1,
            probe.get("failureThreshold") or 3,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer."""

    ok: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, and what the last ones of its kind in a row amount to."""

    outcome: Outcome
    is_reached: bool
    """Whether the threshold for this kind of outcome is reached (and stays so)."""


async def watch(probe: Object, prober: "Prober", clock: Clock) -> AsyncIterator[Verdict]:
    """Probe for ever: after the initial delay, then once a period."""
    timing = Timing.of(probe)
    await clock.sleep(timing.initial_delay_s)
    in_a_row, before = 0, None
    while True:
        outcome = await prober.attempt(probe, timing.timeout_s)
        in_a_row = in_a_row + 1 if outcome.ok == before else 1
        before = outcome.ok
        yield Verdict(outcome, in_a_row >= (timing.successes if outcome.ok else timing.failures))
        await clock.sleep(timing.period_s)


def port_number(port: int | str, container: Object) -> int:
    """A port given by number or by the name of a container port. Raises ValueError for a name that is not there."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port!r}")


class Prober:
    """Asks one container."""

    def __init__(self, host: Link, context: ContainerContext) -> None:
        self._host = host
        self._context = context

    async def attempt(self, probe: Object, timeout_s: float) -> Outcome:
        """One try of a probe's action."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._act(probe)
        except TimeoutError:
            return Outcome(ok=False, text=f"timed out after {timeout_s:g}s")
        except (OSError, BadResponse, ValueError) as error:
            return Outcome(ok=False, text=str(error) or type(error).__name__)

    async def hook(self, handler: Object) -> Outcome:
        """Run a lifecycle handler to its end."""
        if pause := handler.get("sleep"):
            await self._context.clock.sleep(pause.get("seconds", 0))
            return Outcome(ok=True)
        if handler.get("exec"):
            return await self._exec(handler["exec"])
        return await self.attempt(handler, _HOOK_TIMEOUT_S)

    async def _act(self, action: Object) -> Outcome:
        if http := action.get("httpGet"):
            return await self._http(http)
        if tcp := action.get("tcpSocket"):
            return await self._tcp(tcp)
        if command := action.get("exec"):
            return await self._exec(command)
        if action.get("grpc"):
            return Outcome(ok=False, text="gRPC probes are not emulated: use httpGet, tcpSocket or exec")
        return Outcome(ok=True)

    async def _http(self, http: Object) -> Outcome:
        port = port_number(http["port"], self._context.container)
        host = http.get("host") or self._context.link.ip
        path = http.get("path") or "/"
        parts = urlsplit(path if path.startswith("/") else f"/{path}")
        headers = [(header["name"], header["value"]) for header in http.get("httpHeaders") or ()]
        names = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in _DEFAULTS if name.lower() not in names]
        is_tls = http.get("scheme", "HTTP").upper() == "HTTPS"
        request = Request(
            host=host,
            port=port,
            target=parts.path + (f"?{parts.query}" if parts.query else ""),
            headers=headers,
            tls=insecure_tls() if is_tls else None,
        )
        try:
            response = await fetch(self._host, request, limit=_OUTPUT_LIMIT)
        except ConnectionRefusedError:
            url = f"{'https' if is_tls else 'http'}://{host}:{port}{request.target}"
            return Outcome(ok=False, text=f'Get "{url}": dial tcp {host}:{port}: connect: connection refused')
        if response.status in _OK:
            return Outcome(ok=True)
        return Outcome(ok=False, text=f"HTTP probe failed with statuscode: {response.status}")

    async def _tcp(self, tcp: Object) -> Outcome:
        port = port_number(tcp["port"], self._context.container)
        host = tcp.get("host") or self._context.link.ip
        try:
            async with connect(self._host, host, port):
                return Outcome(ok=True)
        except ConnectionRefusedError:
            return Outcome(ok=False, text=f"dial tcp {host}:{port}: connect: connection refused")

    async def _exec(self, command: Object) -> Outcome:
        output = bytearray()
        argv = command.get("command") or ["true"]
        code = await run(self._context, argv, Streams(stdout=output.extend, stderr=output.extend))
        return Outcome(code == 0, output[:_OUTPUT_LIMIT].decode("utf-8", "replace").strip() or f"exit code {code}")


_DEFAULTS = (("User-Agent", _AGENT), ("Accept", "*/*"))
