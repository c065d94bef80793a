"""Leader election: of several processes, the one that holds a Lease works.

The holder renews; a candidate takes over when the Lease has not changed for its duration *on the candidate's own
clock*, so clocks need not agree. A holder that can't renew in time stops before others may start; `check` fences its
client's writes, also if the loop was too busy to stop. Upstream: client-go's tools/leaderelection, with its times.
"""

import asyncio
from dataclasses import dataclass

from miniplane.aio import Clock, done_within, stop
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Client, Request
from miniplane.errors import AlreadyExists, ApiError, Conflict, NotFound
from miniplane.kinds import LEASE
from miniplane.observe import logs

log = logs.get("miniplane.runtime.lease")

LEASE_S = 15
RENEW_WITHIN_S = 10.0
RETRY_S = 2.0


class LeadershipLost(Exception):
    """The Lease could not be renewed in time, or somebody else holds it."""


@dataclass(slots=True)
class Observed:
    """A Lease as last seen, and since when it has looked so."""

    spec: Object
    since: float

    def is_free_for(self, identity: str, now: float) -> bool:
        """Whether `identity` may take it: nobody's, its own, or not renewed for its duration."""
        holder = self.spec.get("holderIdentity")
        if not holder or holder == identity:
            return True
        return now - self.since >= (self.spec.get("leaseDurationSeconds") or LEASE_S)


class Leader:
    """One candidate. `acquire`, then `hold` beside the work, then `release`."""

    def __init__(self, client: Client, clock: Clock, key: Key, identity: str) -> None:
        self._client, self._clock = client, clock
        self._key, self.identity = key, identity
        self._observed: Observed | None = None
        self._lease: Object | None = None
        self._renewed: float | None = None

    def check(self, request: Request) -> None:
        """Let a write pass while the Lease is surely ours, and what is written to the Lease itself.

        Raises LeadershipLost.
        """
        about_lease = request.path.startswith(LEASE.path(self._key.namespace))
        held = self._renewed is not None and self._clock.monotonic() - self._renewed < LEASE_S
        if not held and not about_lease:
            raise LeadershipLost(f"{request.method} {request.path} not sent: the lease {self._key} may be another's")

    async def acquire(self) -> None:
        """Return when the Lease is ours."""
        while not await self._try():
            await self._clock.sleep(RETRY_S)
        log.info("leading", lease=str(self._key), identity=self.identity)

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeadershipLost."""
        renewed = self._clock.monotonic()
        while True:
            await self._clock.sleep(RETRY_S)
            began = self._clock.monotonic()
            if await self._try_within(RENEW_WITHIN_S - (began - renewed)):
                renewed = began
            elif self._clock.monotonic() - renewed >= RENEW_WITHIN_S or not self._is_mine():
                raise LeadershipLost(f"lost the lease {self._key}")

    async def _try_within(self, seconds: float) -> bool:
        """As `_try`; a server that does not answer in time is as one that refuses."""
        trying = asyncio.create_task(self._try(), name=f"renewal of {self._key}")
        try:
            answered = await done_within(self._clock, seconds, trying)
        finally:
            await stop(trying)
        return answered and trying.result()

    async def release(self) -> None:
        """Let go, so that the next one need not wait. Does its best."""
        if self._lease is None or not self._is_mine():
            return
        self._renewed = None
        spec = self._lease["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            await self._client.update(LEASE, self._lease | {"spec": spec})
        except ApiError as error:
            log.warning("lease not released", lease=str(self._key), error=error.message)

    def _is_mine(self) -> bool:
        return self._observed is not None and self._observed.spec.get("holderIdentity") == self.identity

    async def _try(self) -> bool:
        """Take or renew once; says whether it is ours now. Ours counts from before the request was sent."""
        began = self._clock.monotonic()
        is_ours = await self._take()
        if is_ours:
            self._renewed = began
        return is_ours

    async def _take(self) -> bool:
        try:
            lease = await self._client.get(LEASE, self._key.name, self._key.namespace)
        except NotFound:
            return await self._create()
        except ApiError as error:
            log.warning("lease not read", lease=str(self._key), error=error.message)
            return False
        self._observe(lease)
        assert self._observed is not None
        if not self._observed.is_free_for(self.identity, self._clock.monotonic()):
            return False
        try:
            self._observe(await self._client.update(LEASE, lease | {"spec": self._spec(lease.get("spec") or {})}))
        except Conflict:
            return False
        except ApiError as error:
            log.warning("lease not renewed", lease=str(self._key), error=error.message)
            return False
        return True

    async def _create(self) -> bool:
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            "spec": self._spec({}),
        }
        try:
            self._observe(await self._client.create(LEASE, body))
        except (AlreadyExists, NotFound):
            return False  # somebody was faster, or the namespace is still to come
        return True

    def _observe(self, lease: Object) -> None:
        self._lease = lease
        spec = lease.get("spec") or {}
        if self._observed is None or self._observed.spec != spec:
            self._observed = Observed(spec, self._clock.monotonic())

    def _spec(self, old: Object) -> Object:
        now = meta.micro_timestamp(self._clock.now())
        mine = old.get("holderIdentity") == self.identity
        transitions = old.get("leaseTransitions") or 0
        return old | {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_S,
            "acquireTime": old.get("acquireTime") if mine and old.get("acquireTime") else now,
            "renewTime": now,
            "leaseTransitions": transitions if mine or not old else transitions + 1,
        }
