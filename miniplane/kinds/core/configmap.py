"""ConfigMap: settings for pods, as text or bytes.

Upstream: core/v1; concept page "ConfigMaps".
"""

from collections.abc import Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_config_key
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, too_long
from miniplane.kinds.fields import named, string_map
from miniplane.kinds.keyed import SIZE_LIMIT, frozen_errors, size
from miniplane.kinds.shared import count_cell


def validate(config: Object, old: Object | None) -> Sequence[FieldError]:
    """Keys are file names and stand in one of the two maps; an immutable one stays as it is."""
    data, binary = string_map(config, "data"), string_map(config, "binaryData")
    errors = frozen_errors(config, old, ("data", "binaryData")) if old else []
    for key in data:
        errors += named(Path("data") @ key, key, is_config_key)
        if key in binary:
            errors.append(invalid(Path("data") @ key, key, "duplicate of key present in binaryData"))
    for key in binary:
        errors += named(Path("binaryData") @ key, key, is_config_key)
    if sum(len(value.encode()) for value in data.values()) + size(binary) > SIZE_LIMIT:
        errors.append(too_long("", SIZE_LIMIT))
    return errors


CONFIG_MAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    scope=Scope.NAMESPACED,
    short_names=("cm",),
    definition="io.k8s.api.core.v1.ConfigMap",
    columns=(NAME, Column("Data", count_cell("data", "binaryData"), description="How many keys."), AGE),
    strategy=Strategy(validate=validate),
)
