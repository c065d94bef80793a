"""NetworkPolicy: the same connections before and after, each with what must become of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.cli.demo.stage import OK, Stage, claim
from miniplane.kinds import POD, SERVICE


@dataclass(frozen=True, slots=True)
class Probe:
    """A connection to try, and whether the policy lets it pass."""

    source: Object
    host: str
    port: int
    what: str
    passes: bool = True


async def _probes(stage: Stage) -> list[Probe]:
    api, web = (await stage.pods("app=api"))[0], (await stage.pods("app=web"))[0]
    database, outsider = (await stage.pods("app=database"))[0], await stage.client.get(POD, "outsider", "default")
    other = (await stage.pods("app=api", "production"))[0]
    service = await stage.client.get(SERVICE, "api-service", "default")

    def ip(pod: Object) -> str:
        return str(pod["status"]["podIP"])

    return [
        Probe(web, ip(api), 8000, "web → api:8000"),
        Probe(web, service["spec"]["clusterIP"], 80, "web → api-service:80"),
        Probe(api, ip(database), 5432, "api → database:5432"),
        Probe(outsider, ip(web), 80, "outsider → web:80"),
        Probe(outsider, ip(api), 8000, "outsider → api:8000", passes=False),
        Probe(outsider, service["spec"]["clusterIP"], 80, "outsider → api-service:80", passes=False),
        Probe(database, ip(api), 8000, "database → api:8000", passes=False),
        Probe(other, ip(api), 8000, "production/api → api:8000", passes=False),
        Probe(api, ip(web), 80, "api → web:80", passes=False),
        Probe(api, ip(other), 8000, "api → production/api:8000", passes=False),
    ]


async def _passing(stage: Stage, probes: Sequence[Probe]) -> list[bool]:
    return list(await asyncio.gather(*(stage.connects(probe.source, probe.host, probe.port) for probe in probes)))


async def network_policy(stage: Stage) -> AsyncIterator[str]:
    """Before the policy everything passes; after it only what it names."""
    probes = await _probes(stage)
    before = await _passing(stage, probes)
    blocked = [probe.what for probe, passes in zip(probes, before, strict=True) if not passes]
    claim(not blocked, f"before any policy these did not pass: {', '.join(blocked)}")
    yield f"before it, all of {len(probes)} connections pass"
    await stage.apply("seed/06-networkpolicy.yaml")

    async def check() -> None:
        after = await _passing(stage, probes)
        wrong = [probe.what for probe, passes in zip(probes, after, strict=True) if passes is not probe.passes]
        claim(not wrong, f"after the policy these went the wrong way: {', '.join(wrong)}")

    await stage.eventually(check, "api-policy")
    yield "it lets pass: " + ", ".join(probe.what for probe in probes if probe.passes)
    yield "it drops:     " + ", ".join(probe.what for probe in probes if not probe.passes)
    web, api = probes[0].source, probes[2].source
    seen = await stage.curl(web, f"http://{probes[0].host}:8000/clientip")
    told = seen.body.rpartition(":")[0]
    claim(seen.code == OK and told == web["status"]["podIP"], f"web got {seen.code} {seen.body!r} from api")
    yield f"replies pass: {meta.name(web)} gets its whole answer from {meta.name(api)}"
