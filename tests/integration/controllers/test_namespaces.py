"""Namespaces get what every namespace has, and go with everything in them, on the real API server."""

from typing import Any

from controllers import namespace, serviceaccount
from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT

TEAM = Key("", "team")


def named(name: str, namespace: str = "") -> dict[str, Any]:
    """An object with nothing but a name."""
    return {"metadata": {"name": name} | ({"namespace": namespace} if namespace else {})}


async def test_a_namespace_has_an_account_and_the_ca(world: Any) -> None:
    """Both are there for every namespace, and come back when they are deleted or changed."""
    account, root_ca = Key("team", "default"), Key("team", "kube-root-ca.crt")
    async with world.running(serviceaccount.on):
        await world.client.create(NAMESPACE, named("team"))
        before = await world.until(SERVICE_ACCOUNT, lambda seen: account in seen)
        await world.client.delete(SERVICE_ACCOUNT, account)
        uid = meta.uid(before[account])
        await world.until(SERVICE_ACCOUNT, lambda seen: account in seen and meta.uid(seen[account]) != uid)
        config = await world.until(CONFIG_MAP, lambda seen: root_ca in seen)
        certificate = config[root_ca]["data"]["ca.crt"]
        assert certificate == world.client.access.ca.decode()
        await world.client.patch(CONFIG_MAP, root_ca, {"data": {"ca.crt": "none"}})
        await world.until_one(CONFIG_MAP, root_ca, lambda obj: obj["data"]["ca.crt"] == certificate)


async def test_a_namespace_goes_with_its_contents(world: Any) -> None:
    """Deletion empties the namespace, waits for what has a finalizer and says so, then lets it go."""
    async with world.running(namespace.on, serviceaccount.on):
        await world.client.create(NAMESPACE, named("team"))
        await world.client.create(CONFIG_MAP, named("plain", "team"))
        held = named("held", "team")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        await world.client.create(CONFIG_MAP, held)
        await world.client.delete(NAMESPACE, TEAM)
        waiting = await world.until_one(
            NAMESPACE, TEAM, lambda obj: meta.is_condition_true(obj, "NamespaceFinalizersRemaining")
        )
        assert waiting["status"]["phase"] == "Terminating"
        told = meta.condition(waiting, "NamespaceContentRemaining")
        assert told is not None
        assert told["message"] == "Some resources are remaining: configmaps has 1 resource instances"
        await world.client.patch(CONFIG_MAP, Key("team", "held"), {"metadata": {"finalizers": None}})
        await world.until(NAMESPACE, lambda seen: TEAM not in seen)
    assert (await world.client.list(CONFIG_MAP, "team")).items == []
