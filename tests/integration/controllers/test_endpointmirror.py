"""Hand-made Endpoints over their lives."""

from typing import Any

from controllers import endpointmirror
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE

DB = Key("default", "db")


def _of_db(seen: dict[Key, Object]) -> list[str]:
    found = [slice_ for key, slice_ in seen.items() if key.name.startswith("db-")]
    return sorted(endpoint["addresses"][0] for slice_ in found for endpoint in slice_["endpoints"])


async def test_slices_follow_hand_made_endpoints(world: Any) -> None:
    """They come, change and go with them, also when the Service gets a selector, and a second look writes nothing."""
    client, ports = world.client, [{"port": 5432}]
    async with world.running(endpointmirror.on) as manager:
        metadata = {"name": "db", "namespace": "default"}
        await client.create(SERVICE, {"metadata": metadata, "spec": {"ports": ports}})
        subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": ports}]
        await client.create(ENDPOINTS, {"metadata": metadata, "subsets": subsets})
        await world.until(ENDPOINT_SLICE, lambda seen: _of_db(seen) == ["192.0.2.1"])
        await world.settled(manager)
        subsets = [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.9"}], "ports": ports}]
        await client.patch(ENDPOINTS, DB, {"subsets": subsets})
        await world.until(ENDPOINT_SLICE, lambda seen: _of_db(seen) == ["192.0.2.1", "192.0.2.9"])
        await client.patch(SERVICE, DB, {"spec": {"selector": {"app": "db"}}})
        await world.until(ENDPOINT_SLICE, lambda seen: not _of_db(seen))
        await client.patch(SERVICE, DB, {"spec": {"selector": None}})
        await world.until(ENDPOINT_SLICE, _of_db)
        await client.delete(ENDPOINTS, DB)
        await world.until(ENDPOINT_SLICE, lambda seen: not _of_db(seen))
