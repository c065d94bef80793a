"""DefaultStorageClass: a claim that names no class gets the default one. Upstream: plugin setdefault."""

from miniplane.kinds.fields import open_section

from .chain import Attributes, Operation, Plugin

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BETA = "storageclass.beta.kubernetes.io/is-default-class"
_LEGACY = "volume.beta.kubernetes.io/storage-class"


def _set(attributes: Attributes) -> None:
    claim = attributes.obj
    assert claim is not None
    spec = open_section(claim, "spec")
    if spec.get("storageClassName") is not None or _LEGACY in (claim["metadata"].get("annotations") or {}):
        return
    found = [entry.obj["metadata"] for entry in attributes.store.list("storage.k8s.io/storageclasses").entries]
    defaults = [
        meta for meta in found if "true" in ((meta.get("annotations") or {}).get(key) for key in (IS_DEFAULT, _BETA))
    ]
    if defaults:
        newest = max(meta["creationTimestamp"] for meta in defaults)
        spec["storageClassName"] = min(meta["name"] for meta in defaults if meta["creationTimestamp"] == newest)


PLUGIN = Plugin(
    "DefaultStorageClass",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("persistentvolumeclaims",)),
    mutate=_set,
)
