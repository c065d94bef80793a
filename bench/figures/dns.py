"""The cluster's DNS: answers that are kept, answers made anew, and those of other nameservers."""

from collections.abc import Sequence

import dns.message

from agents.dns.server import Responder
from bench.figures.base import Figure, Group, timed
from miniplane.api.kind import Object
from miniplane.dataplane.dns_cache import Asked, Cache, render
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_zone import Zone

SERVICES, ROUNDS = 1_000, 20
KEPT_PER_S, NEW_PER_S, CHANGE_S = 20_000.0, 1_000.0, 0.1


def _service(number: int, ip: str) -> Object:
    spec = {"clusterIP": ip, "ports": [{"name": "http", "port": 80}]}
    return {"metadata": {"name": f"service-{number}", "namespace": "default"}, "spec": spec}


def _ip(number: int) -> str:
    return f"10.96.{number // 250}.{number % 250 + 1}"


def measure() -> Sequence[Figure]:
    """One core, without sockets: what `Responder` does for each datagram."""
    directory = Directory()
    directory.change_namespace(None, {"metadata": {"name": "default"}})
    for number in range(SERVICES):
        directory.change_service(None, _service(number, _ip(number)))
    zone = Zone(directory, domain="cluster.local", dns_ip="10.96.0.10", networks=("10.96.0.0/16",))
    responder = Responder(zone, directory, lambda: True)
    names = [f"service-{number}.default.svc.cluster.local" for number in range(SERVICES)]
    queries = [dns.message.make_query(name, "A", use_edns=0).to_wire() for name in names]
    with timed() as new:
        for query in queries:
            responder.respond(query)
    with timed() as kept:
        for _ in range(ROUNDS):
            for query in queries:
                responder.respond(query)
    with timed() as change:
        directory.change_service(_service(0, _ip(0)), _service(0, "10.96.9.9"))
        answer = responder.respond(queries[0])
    assert isinstance(answer, bytes)
    assert dns.message.from_wire(answer).answer[0][0].address == "10.96.9.9"
    return [
        _rate("answers, kept", kept.rate(SERVICES * ROUNDS), KEPT_PER_S),
        _rate("answers, made anew", new.rate(SERVICES), NEW_PER_S),
        _rate("answers of other nameservers, kept", _foreign(), KEPT_PER_S),
        Figure(
            name="a changed record, to its answer",
            measured=change.seconds * 1000,
            limit=CHANGE_S * 1000,
            unit="ms",
            against="the design",
            better="less",
        ),
    ]


def _rate(name: str, measured: float, limit: float) -> Figure:
    return Figure(name=name, measured=measured, limit=limit, unit="/s", against="one core")


def _foreign() -> float:
    query = dns.message.make_query("www.example.com", "A", use_edns=0)
    answer = dns.message.make_response(query)
    answer.use_edns(edns=False)
    wire = query.to_wire()
    asked = Asked(wire[12:-11], edns=True, size=1232)
    cache = Cache()
    cache.put(asked, answer.to_wire(), 0.0)
    with timed() as watch:
        for _ in range(SERVICES * ROUNDS):
            kept = cache.get(asked, 1.0)
            assert kept is not None
            render(kept, asked, wire, 1.0)
    return watch.rate(SERVICES * ROUNDS)


GROUP = Group("dns", "answers a second, and how soon a change is one", measure)
