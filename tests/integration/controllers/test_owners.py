"""Owners that an object can't have."""

from typing import Any

from controllers import garbage
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import CONFIG_MAP, EVENT, NAMESPACE


async def test_an_owner_in_another_namespace_is_none(world: Any) -> None:
    """The object is deleted as if its owner were gone, and an event says why."""
    client = world.client
    await client.create(NAMESPACE, {"metadata": {"name": "other"}})
    owner = await client.create(CONFIG_MAP, {"metadata": {"name": "owner", "namespace": "other"}})
    reference: Object = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    async with world.running(garbage.controller()):
        metadata = {"name": "owned", "namespace": "default", "ownerReferences": [reference]}
        await client.create(CONFIG_MAP, {"metadata": metadata})
        told = await world.until(
            EVENT, lambda seen: any(item["reason"] == "OwnerRefInvalidNamespace" for item in seen.values())
        )
        (event,) = [item for item in told.values() if item["reason"] == "OwnerRefInvalidNamespace"]
        assert event["involvedObject"]["name"] == "owned"
        assert 'does not exist in namespace "default"' in event["message"]
        await world.until(CONFIG_MAP, lambda seen: Key("default", "owned") not in seen)
