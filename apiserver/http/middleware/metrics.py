"""Counts and times requests under upstream's metric names."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from miniplane.aio import Clock
from miniplane.observe.metrics import Collector, CollectorRegistry, CounterMetricFamily, HistogramMetricFamily, Metric

from ..call import Call, Handler, Middleware, Response
from ..routes import is_watch

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))


@dataclass(slots=True)
class _Times:
    """How many requests took how long: by bucket, the last one for those above all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    total_s: float = 0.0

    def buckets(self) -> Iterator[tuple[str, float]]:
        """The buckets as Prometheus has them, each with those below it."""
        below = 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            yield bound, below


class _Requests(Collector):
    """The numbers, kept as plain ones and put into Prometheus' form when asked for: requests are many, scrapes few."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str, str, str, int], int] = {}
        """By verb, group, resource, subresource and code."""
        self.times: dict[tuple[str, str], _Times] = {}
        """By verb and resource."""

    def collect(self) -> Iterator[Metric]:
        """Called for each scrape."""
        total = CounterMetricFamily(
            "apiserver_request",
            "Requests by verb, resource and code.",
            labels=("verb", "group", "resource", "subresource", "code"),
        )
        for (*labels, code), count in self.totals.items():
            total.add_metric([*map(str, labels), str(code)], count)
        yield total
        seconds = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Time from request to answer by verb and resource, watches aside.",
            labels=("verb", "resource"),
        )
        for pair, times in self.times.items():
            seconds.add_metric(pair, list(times.buckets()), times.total_s)
        yield seconds

    def observe(self, call: Call, code: int, duration_s: float) -> None:
        """Count a request."""
        route, verb = call.route, call.method if call.method in _METHODS else "other"
        watch = verb == "GET" and is_watch(call.query)
        if watch:
            verb = "WATCH"
        group = resource = sub = ""
        if route is not None and route.kind is not None:
            group, resource = route.group, route.resource
            if route.subresource and route.kind.subresource(route.subresource):
                sub = route.subresource
        key = (verb, group, resource, sub, code)
        self.totals[key] = self.totals.get(key, 0) + 1
        if not watch:
            times = self.times.get((verb, resource))
            if times is None:
                times = self.times[verb, resource] = _Times()
            times.counts[bisect_left(_BUCKETS, duration_s)] += 1
            times.total_s += duration_s


def metrics(registry: CollectorRegistry, clock: Clock) -> Middleware:
    """The middleware. Labels are bounded: served resources, known methods, codes that we send."""
    requests = _Requests()
    registry.register(requests)

    async def middleware(call: Call, handler: Handler) -> Response:
        started = clock.monotonic()
        response = await handler(call)
        requests.observe(call, response.status, clock.monotonic() - started)
        return response

    return middleware
