"""Counts and times requests under upstream's metric names."""

from miniplane.aio import Clock
from miniplane.observe.metrics import CollectorRegistry, Counter, Histogram

from ..call import Call, Handler, Middleware, Response
from ..routes import is_watch

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))


def metrics(registry: CollectorRegistry, clock: Clock) -> Middleware:
    """The middleware. Labels are bounded: served resources, known methods, codes that we send."""
    total = Counter(
        "apiserver_request_total",
        "Requests by verb, resource and code.",
        ("verb", "group", "resource", "subresource", "code"),
        registry=registry,
    )
    seconds = Histogram(
        "apiserver_request_duration_seconds",
        "Time from request to answer by verb and resource, watches aside.",
        ("verb", "resource"),
        buckets=_BUCKETS,
        registry=registry,
    )
    counters: dict[tuple[str, str, str, str, int], Counter] = {}
    timers: dict[tuple[str, str], Histogram] = {}

    def observe(call: Call, code: int, duration: float) -> None:
        route, verb = call.route, call.method if call.method in _METHODS else "other"
        watch = verb == "GET" and is_watch(call.query)
        if watch:
            verb = "WATCH"
        group = resource = sub = ""
        if route is not None and route.kind is not None:
            group, resource = route.group, route.resource
            sub = route.subresource if route.kind.subresource(route.subresource) else ""
        key = (verb, group, resource, sub, code)
        counter = counters.get(key)
        if counter is None:
            counter = counters[key] = total.labels(verb, group, resource, sub, str(code))
        counter.inc()
        if not watch:
            timer = timers.get((verb, resource))
            if timer is None:
                timer = timers[verb, resource] = seconds.labels(verb, resource)
            timer.observe(duration)

    async def middleware(call: Call, handler: Handler) -> Response:
        started = clock.monotonic()
        response = await handler(call)
        observe(call, response.status, clock.monotonic() - started)
        return response

    return middleware
