"""Ingresses are told where they are served, and what they ask for in vain."""

from typing import Any

from controllers import ingress
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import INGRESS_CONTROLLER
from miniplane.kinds import EVENT, INGRESS, INGRESS_CLASS, SECRET


def made(name: str, backend: Object, **spec: Any) -> Object:
    """An Ingress of our class."""
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rules = [{"host": f"{name}.example", "http": {"paths": [path]}}]
    metadata = {"name": name, "namespace": "default"}
    return {"metadata": metadata, "spec": {"ingressClassName": "ours", "rules": rules, **spec}}


async def test_events_name_what_is_not_served(world: Any) -> None:
    """A resource backend, a missing Service and a missing certificate are Warning events on the Ingress."""
    async with world.running(ingress.controller()):
        await world.client.create(
            INGRESS_CLASS, {"metadata": {"name": "ours"}, "spec": {"controller": INGRESS_CONTROLLER}}
        )
        bucket = {"resource": {"apiGroup": "k8s.example", "kind": "Bucket", "name": "b"}}
        await world.client.create(INGRESS, made("bucket", bucket))
        gone = {"service": {"name": "gone", "port": {"number": 80}}}
        await world.client.create(INGRESS, made("gone", gone, tls=[{"hosts": ["gone.example"], "secretName": "tls"}]))
        wanted = [
            ("bucket", "Rejected", "only backends that are services are served"),
            ("gone", "Rejected", "service default/gone is not there"),
            ("gone", "BadCertificate", "secret default/tls is not there"),
        ]

        def all_told(events: dict[Key, Object]) -> bool:
            told = [
                (event["type"], event["involvedObject"]["name"], event["reason"], event["message"])
                for event in events.values()
            ]
            return all(any(one[:3] == ("Warning", *who[:2]) and who[2] in one[3] for one in told) for who in wanted)

        await world.until(EVENT, all_told)


def test_a_secret_wakes_those_who_show_it() -> None:
    """Only the Ingresses that name a Secret are looked at again when it changes."""

    class Caches:
        def cache(self, _: object) -> "Caches":
            return self

        def list(self, _: str) -> list[Object]:
            backend = {"service": {"name": "s", "port": {"number": 80}}}
            return [made("a", backend, tls=[{"secretName": "tls"}]), made("b", backend)]

    secret = {"metadata": {"namespace": "default", "name": "tls"}}
    context: Any = Caches()
    assert list(ingress.ingresses_of_secret(secret, context)) == [Key("default", "a")]
    assert SECRET.namespaced
