"""The requests of pods' workers, on the real client."""

from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.client import Client, PatchType
from miniplane.errors import NotFound
from miniplane.kinds import CONFIG_MAP, POD, SECRET

from .environment import Reference

_KINDS: dict[str, Kind] = {"configmap": CONFIG_MAP, "secret": SECRET}
_OPTIONAL = ("podIP", "podIPs", "reason", "message", "initContainerStatuses")
"""Fields that a status may lose again."""


class ClientApi:
    """`PodApi` by HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def report(self, pod: Object, status: Object) -> int:
        """Patch the status; the pod's revision with it.

        Conditions merge by their type, so those of others stay; the uid guards the pod.
        """
        body: dict[str, Any] = {
            "metadata": {"uid": meta.uid(pod)},
            "status": dict.fromkeys(_OPTIONAL) | status,
        }
        key = meta.key_of(pod)
        stored = await self._client.patch(POD, key, body, type=PatchType.STRATEGIC, subresource="status")
        return meta.revision(stored)

    async def finish(self, pod: Object) -> None:
        """Delete without grace, if it is still this pod."""
        await self._client.delete(POD, meta.key_of(pod), grace_s=0, uid=meta.uid(pod))

    async def fetch(self, namespace: str, reference: Reference) -> Object | None:
        """Read a ConfigMap or Secret."""
        try:
            return await self._client.get(_KINDS[reference.kind], reference.name, namespace)
        except NotFound:
            return None
