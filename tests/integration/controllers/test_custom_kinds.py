"""Objects of kinds that users bring, on the real API server: collected as any other, and gone with their namespace."""

from typing import Any

from controllers import garbage, namespace
from miniplane.api import meta
from miniplane.api.kind import Kind, Scope
from miniplane.api.meta import Key
from miniplane.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE

WIDGET = Kind(group="example.com", version="v1", kind="Widget", plural="widgets", scope=Scope.NAMESPACED)
CRD = Key("", "widgets.example.com")
DEFINITION = {
    "metadata": {"name": CRD.name},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


async def define(world: Any) -> None:
    """Bring the kind, and wait until it is served."""
    await world.client.create(CUSTOM_RESOURCE_DEFINITION, DEFINITION)
    await world.until_one(CUSTOM_RESOURCE_DEFINITION, CRD, lambda crd: meta.is_condition_true(crd, "Established"))


async def test_what_a_custom_object_owns_goes_with_it(world: Any) -> None:
    """A built-in object whose owner is of a custom kind stays as long as the owner, and no longer."""
    async with world.running(garbage.controller()):
        await define(world)
        owner = await world.client.create(WIDGET, {"metadata": {"name": "w", "namespace": "default"}})
        reference = meta.owner_reference(owner, kind=WIDGET)
        for name in ("owned", "free"):
            owners = {"ownerReferences": [reference]} if name == "owned" else {}
            await world.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default", **owners}})
        await world.client.delete(WIDGET, Key("default", "w"))
        seen = await world.until(CONFIG_MAP, lambda seen: Key("default", "owned") not in seen)
        assert Key("default", "free") in seen


async def test_a_namespace_goes_with_its_custom_objects(world: Any) -> None:
    """The deletion of a namespace takes objects of custom kinds, too."""
    async with world.running(namespace.on):
        await define(world)
        await world.client.create(NAMESPACE, {"metadata": {"name": "team"}})
        await world.client.create(WIDGET, {"metadata": {"name": "w", "namespace": "team"}})
        await world.client.delete(NAMESPACE, Key("", "team"))
        await world.until(NAMESPACE, lambda seen: Key("", "team") not in seen)
        assert not (await world.client.list(WIDGET)).items
