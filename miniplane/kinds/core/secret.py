"""Secret: small confidential data. Its type says which keys it must have.

Upstream: core/v1; concept page "Secrets".
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

from miniplane.api import meta
from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_config_key
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, required, too_long
from miniplane.kinds.fields import fill, named, open_section, string_map, text, unchanged
from miniplane.kinds.keyed import SIZE_LIMIT, decode, frozen_errors, size
from miniplane.kinds.shared import count_cell

_ACCOUNT_NAME = "kubernetes.io/service-account.name"
_JSON_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def defaults(secret: Object) -> None:
    """The type; and `stringData`, which is written only, moves into `data`."""
    fill(secret, type="Opaque")
    plain = string_map(secret, "stringData")
    secret.pop("stringData", None)
    if plain:
        data = open_section(secret, "data")
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in plain.items()})


def prepare(secret: Object, old: Object | None) -> None:
    """The type stays where an update does not say."""
    if old is not None and not text(secret, "type"):
        secret["type"] = text(old, "type")


def validate(secret: Object, old: Object | None) -> Sequence[FieldError]:
    """Keys are file names, and what the type asks for is there."""
    data, path = string_map(secret, "data"), Path("data")
    errors = [*unchanged("type", text(secret, "type"), text(old, "type"))] if old else []
    errors += frozen_errors(secret, old, ("data",)) if old else []
    for key in data:
        errors += named(path @ key, key, is_config_key)
    if size(data) > SIZE_LIMIT:
        errors.append(too_long(path, SIZE_LIMIT))
    return [*errors, *_by_type(secret, data)]


def _by_type(secret: Object, data: Mapping[str, str]) -> Iterator[FieldError]:
    path, kind = Path("data"), text(secret, "type")
    if kind == "kubernetes.io/service-account-token":
        if not meta.annotations(secret).get(_ACCOUNT_NAME):
            yield required(Path("metadata") / "annotations" @ _ACCOUNT_NAME)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            yield required(path @ "username")
            yield required(path @ "password")
    elif key := _JSON_KEYS.get(kind):
        yield from _json(path @ key, data.get(key))
    for key in _NEEDED.get(kind, ()):
        if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
            yield required(path @ key)


def _json(path: Path, value: str | None) -> Iterator[FieldError]:
    if value is None:
        yield required(path)
        return
    try:
        whole = json.loads(decode(value) or b"")
    except ValueError:
        whole = None
    if not isinstance(whole, dict):
        yield invalid(path, "<secret contents redacted>", "must be a JSON object")


SECRET = Kind(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    scope=Scope.NAMESPACED,
    fields={"type": "type"},
    definition="io.k8s.api.core.v1.Secret",
    columns=(
        NAME,
        Column("Type", ".type", description="What the Secret is for, and which keys it has."),
        Column("Data", count_cell("data"), description="How many keys."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(prepare=prepare, validate=validate),
)
