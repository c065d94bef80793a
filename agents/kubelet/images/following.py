"""Objects that a system image follows by itself, as long as its container runs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from miniplane.aio import Clock, finishes_within
from miniplane.api.kind import Kind
from miniplane.api.meta import Key
from miniplane.client import Access, Client, Selection
from miniplane.errors import ApiError
from miniplane.kinds import SERVICE_ACCOUNT
from miniplane.observe import logs
from miniplane.runtime.informer import Change, Informers

from .base import ContainerContext

log = logs.get("agents.images")

AGAIN_S = 10.0
"""Pause after the server has refused."""
TOKEN_S = 3600
"""Lifetime of the tokens that pods' own requests are made with."""
_RENEW_AT = 0.8
"""The part of a token's life after which the next one is asked for, as the kubelet does."""


async def follow(
    client: Client,
    clock: Clock,
    kind: Kind,
    selection: Selection,
    *,
    changed: Callable[[Change], None],
    known: Callable[[], None],
) -> None:
    """Tell `changed` each change until cancelled, and `known` once all is told or the server has refused.

    An informer of the agent's own would end the agent when the server refuses, as it does once the pod that had the
    right to read is gone.
    """
    while True:
        try:
            async with Informers(client, clock) as informers:
                informer = informers.get(kind, selection)
                informer.subscribe(changed)
                await informer.synced()
                known()
                await asyncio.Event().wait()
        except* ApiError as error:
            known()
            log.warning("can't follow", resource=kind.plural, error=str(error.exceptions[0]))
        await clock.sleep(AGAIN_S)


async def follow_as_pod(
    context: ContainerContext,
    client: Client,
    kind: Kind,
    selection: Selection,
    *,
    changed: Callable[[Change], None],
    known: Callable[[], None],
) -> None:
    """As `follow`, with the rights of the pod's service account instead of its node's.

    The node asks for the account's token, as a kubelet does for the file that it mounts, and again before it expires.
    """
    while True:
        try:
            access, lifetime_s = await _as_pod(context, client)
        except ApiError as error:
            known()
            context.log(f"no token for the pod's service account: {error}")
            await context.clock.sleep(AGAIN_S)
            continue
        async with Client(access, context.clock) as own:
            work = follow(own, context.clock, kind, selection, changed=changed, known=known)
            await finishes_within(context.clock, lifetime_s * _RENEW_AT, work)


async def _as_pod(context: ContainerContext, client: Client) -> tuple[Access, float]:
    """The access of a pod's service account, and how long it is good."""
    metadata, spec = context.pod["metadata"], context.pod.get("spec") or {}
    reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": reference, "expirationSeconds": TOKEN_S},
    }
    account = Key(metadata["namespace"], spec.get("serviceAccountName") or "default")
    answer = await client.create_subresource(SERVICE_ACCOUNT, account, "token", request)
    return replace(client.access, token=answer["status"]["token"], cert=b"", key=b""), TOKEN_S
