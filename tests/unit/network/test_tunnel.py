"""Streams between nodes at their edges: a flow that ends before it begins, a connection that breaks while it rests."""

from pathlib import Path

from agents.network.memory import join
from agents.network.tunnel import TunnelClient, _Flow, _Stream
from tests.integration.datapath import Echo, ask, cluster, pod, until
from tests.unit.network.test_sockets import Far


async def test_a_flow_reset_early_is_done_with_once_the_other_half_is() -> None:
    """The other node's reset may come before the flow is joined; the connection's end is told all the same."""
    stream = _Stream()
    stream.flow = flow = _Flow(stream)
    flow.reset()
    far, done = Far(), list[bool]()
    join(flow, far, lambda: done.append(True))
    assert far.got == ["reset"]
    assert far.closed is not None
    far.closed()
    assert done == [True]


async def test_a_connection_that_breaks_leaves_the_pool(tmp_path: Path) -> None:
    """No broken connection is kept for the next flow."""
    async with cluster(tmp_path) as made:
        a, c = await made.attach(pod("a", "node-1", "10.244.1.2"), pod("c", "node-2", "10.244.2.2"))
        await c.listen(Echo, 8000)
        await ask(a, "10.244.2.2", 8000, b"hello")
        pool = made.networks["node-1"].peers
        assert isinstance(pool, TunnelClient)
        await until(lambda: bool(pool._idle.get("node-2")))
        for stream in pool.streams:
            stream.transport.abort()
        await until(lambda: not pool.streams)
        assert not pool._idle["node-2"]
