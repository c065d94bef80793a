"""Fixtures of the proxy's tests."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from agents.ingress.server import IngressProxy
from agents.ingress.tls import Certificates
from agents.ingress.upstream import LinkConnector
from miniplane.aio import SystemClock
from tests.integration.datapath import pod, until
from tests.unit.ingress.bench import CLIENT, PROXY, Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A running proxy without routes."""
    made = Bench()
    link, _ = await made.cluster.attach(pod("proxy", "node-1", PROXY), pod("client", "node-1", CLIENT))
    clock = SystemClock()
    certificates = Certificates(lambda: made.routes, made.secrets, clock.now(), made.log.append)
    made.proxy = IngressProxy(link, lambda: made.routes, made.log.append, clock, certificates)
    await made.proxy.start()
    yield made
    await made.proxy.aclose()
    for server in made.servers:
        await server.shutdown(0)
    await made.network.aclose()
    await until(lambda: not len(made.network.machine.conntrack))


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client in a pod."""
    async with aiohttp.ClientSession(
        connector=LinkConnector(bench.network._links["client"]), base_url=f"http://{PROXY}"
    ) as session:
        yield session
