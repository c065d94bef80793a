"""What a quota's status says, on the real API server."""

from typing import Any

from controllers import resourcequota
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import CONFIG_MAP, DEPLOYMENT, POD, RESOURCE_QUOTA

QUOTA = Key("default", "q")


async def test_the_status_follows_what_is_there(world: Any, deployment: Any) -> None:
    """Used amounts rise and fall with the objects, and a name that is limited no more goes from the status."""

    def uses(**wanted: str) -> Any:
        return lambda quota: (
            (quota.get("status") or {}).get("used") == {name.replace("_", "."): value for name, value in wanted.items()}
        )

    hard = {"pods": "5", "requests.cpu": "2", "configmaps": "9"}
    await world.client.create(
        RESOURCE_QUOTA, {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}}
    )
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "250m"}}}
    pod: Object = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [container]}}
    async with world.running(resourcequota.on) as manager:
        await world.until_one(RESOURCE_QUOTA, QUOTA, uses(pods="0", requests_cpu="0", configmaps="0"))
        await world.client.create(POD, pod)
        await world.client.create(CONFIG_MAP, {"metadata": {"name": "m", "namespace": "default"}})
        await world.until_one(RESOURCE_QUOTA, QUOTA, uses(pods="1", requests_cpu="250m", configmaps="1"))
        await world.client.patch(POD, Key("default", "p"), {"status": {"phase": "Succeeded"}}, subresource="status")
        await world.until_one(RESOURCE_QUOTA, QUOTA, uses(pods="0", requests_cpu="0", configmaps="1"))
        await world.client.create(DEPLOYMENT, deployment())
        counted = {"spec": {"hard": {"pods": None, "requests.cpu": None, "count/deployments.apps": "3"}}}
        await world.client.patch(RESOURCE_QUOTA, QUOTA, counted)
        await world.until_one(
            RESOURCE_QUOTA,
            QUOTA,
            lambda quota: quota["status"]["used"] == {"configmaps": "1", "count/deployments.apps": "1"},
        )
        await world.settled(manager)
