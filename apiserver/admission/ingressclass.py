"""DefaultIngressClass: an Ingress without class gets the default one. Upstream: plugin network/defaultingressclass."""

from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS

from .chain import Attributes, Operation, Plugin

_LEGACY = "kubernetes.io/ingress.class"


def _set(attributes: Attributes) -> None:
    ingress = attributes.obj
    assert ingress is not None
    spec = ingress.setdefault("spec", {})
    if not isinstance(spec, dict) or "ingressClassName" in spec:
        return
    if _LEGACY in (ingress["metadata"].get("annotations") or {}):
        return
    classes = [entry.obj["metadata"] for entry in attributes.store.list("networking.k8s.io/ingressclasses").entries]
    defaults = [meta for meta in classes if (meta.get("annotations") or {}).get(DEFAULT_INGRESS_CLASS) == "true"]
    if defaults:
        names = sorted(defaults, key=lambda meta: meta["name"])
        newest = max(meta["creationTimestamp"] for meta in names)
        spec["ingressClassName"] = next(meta["name"] for meta in names if meta["creationTimestamp"] == newest)


PLUGIN = Plugin(
    "DefaultIngressClass",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("ingresses.networking.k8s.io",)),
    mutate=_set,
)
