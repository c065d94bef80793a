"""StorageClass: how volumes of one sort are made.

Upstream: storage.k8s.io/v1; concept page "Storage Classes".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_qualified_name
from miniplane.api.table import AGE
from miniplane.api.validation import FieldError, Path, forbidden, required, too_long
from miniplane.kinds.fields import fill, flag, named, one_of, string_map, text, unchanged

DEFAULT = "storageclass.kubernetes.io/is-default-class"
"""The annotation of the class that claims without one get."""
_LEGACY_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
_PARAMETERS, _PARAMETERS_BYTES = 512, 256 * 1024


def defaults(storage_class: Object) -> None:
    """Volumes go with their claims and are made at once."""
    fill(storage_class, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def validate(storage_class: Object, old: Object | None) -> Sequence[FieldError]:
    """Who makes the volumes is named; what they are made by never changes."""
    return [*_errors(storage_class), *(_update(storage_class, old) if old is not None else ())]


def _errors(storage_class: Object) -> Iterator[FieldError]:
    provisioner = text(storage_class, "provisioner")
    if provisioner:
        yield from named("provisioner", provisioner.lower(), is_qualified_name)
    else:
        yield required("provisioner")
    parameters = string_map(storage_class, "parameters")
    if len(parameters) > _PARAMETERS:
        yield too_long("parameters", _PARAMETERS)
    if "" in parameters:
        yield required(Path("parameters"), "empty parameter name")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _PARAMETERS_BYTES:
        yield too_long("parameters", _PARAMETERS_BYTES)
    yield from one_of("reclaimPolicy", text(storage_class, "reclaimPolicy"), ("Delete", "Retain"), needed=False)
    mode = text(storage_class, "volumeBindingMode")
    yield from one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))


def _update(new: Object, old: Object) -> Iterator[FieldError]:
    if string_map(new, "parameters") != string_map(old, "parameters"):
        yield forbidden("parameters", "updates to parameters are forbidden.")
    for key in ("provisioner", "reclaimPolicy"):
        if text(new, key) != text(old, key):
            yield forbidden(key, f"updates to {key} are forbidden.")
    yield from unchanged("volumeBindingMode", text(new, "volumeBindingMode"), text(old, "volumeBindingMode"))


def _name(storage_class: Object, _now: datetime) -> str:
    notes = meta.annotations(storage_class)
    is_default = "true" in (notes.get(DEFAULT), notes.get(_LEGACY_DEFAULT))
    return f"{meta.name(storage_class)} (default)" if is_default else meta.name(storage_class)


def _word(key: str, missing: str) -> Column:
    name = key[0].upper() + key[1:]
    return Column(name, lambda obj, _now: text(obj, key) or missing, description=f"The `{key}` of its volumes.")


def _can_grow(storage_class: Object, _now: datetime) -> bool:
    return flag(storage_class, "allowVolumeExpansion")


STORAGE_CLASS = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    scope=Scope.CLUSTER,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    columns=(
        Column("Name", _name, format="name", description="The name, and whether claims without a class get it."),
        Column("Provisioner", ".provisioner", description="Who makes its volumes."),
        _word("reclaimPolicy", "Delete"),
        _word("volumeBindingMode", "<unset>"),
        Column("AllowVolumeExpansion", _can_grow, type="boolean", description="Whether its volumes can grow."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(validate=validate),
)
