"""What the API server counts of its requests."""

from types import SimpleNamespace
from typing import Any

from apiserver.http.middleware.metrics import metrics
from miniplane.kinds import REGISTRY
from miniplane.observe.metrics import CollectorRegistry, render


class Ticking:
    """A clock on which each look takes 20 ms."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        """The time, 20 ms later than before."""
        self._now += 0.02
        return self._now


async def test_requests_are_counted_and_timed() -> None:
    """By verb, resource and code; a watch is counted but has no duration, buckets add up."""
    registry = CollectorRegistry()
    middleware = metrics(registry, Ticking())  # type: ignore[arg-type]  # nothing else of it is asked

    async def ok(_call: object) -> Any:
        return SimpleNamespace(status=200)

    kind = REGISTRY.find("pods")
    assert kind is not None
    route = SimpleNamespace(kind=kind, group="", resource="pods", subresource="")
    for query in ({}, {}, {"watch": "true"}):
        call: Any = SimpleNamespace(route=route, method="GET", query=query)
        await middleware(call, ok)
    text = render(registry).decode()
    total = 'apiserver_request_total{code="200",group="",resource="pods",subresource="",verb='
    assert f'{total}"GET"}} 2.0' in text
    assert f'{total}"WATCH"}} 1.0' in text
    seconds = "apiserver_request_duration_seconds"
    for bound, count in (("0.01", 0), ("0.025", 2), ("60.0", 2), ("+Inf", 2)):
        assert f'{seconds}_bucket{{le="{bound}",resource="pods",verb="GET"}} {count}.0' in text
    assert f'{seconds}_count{{resource="pods",verb="GET"}} 2.0' in text
    assert f'{seconds}_sum{{resource="pods",verb="GET"}} 0.04' in text
