"""Rules of volumes and of where containers mount them."""

from collections.abc import Iterator, Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.names import is_dns_label
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_found, required
from miniplane.kinds.fields import entries, is_set, named_required, one_of, optional, repeated, section, text

_MODE_LIMIT = 0o777
_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "hostPath": ("path",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
    "csi": ("driver",),
    "gitRepo": ("repository",),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
}
"""What a volume of a type can't do without."""

_HOST_PATH_TYPES = (
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def volume_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """The errors of a pod's volumes; `path` is the pod spec's."""
    path /= "volumes"
    volumes = entries(spec, "volumes")
    for index, volume in enumerate(volumes):
        here = path @ index
        yield from _source(here, volume)
        yield from named_required(here / "name", text(volume, "name"), is_dns_label)
    yield from repeated(path, "name", volumes)


def _source(path: Path, volume: Object) -> Iterator[FieldError]:
    kinds = [key for key in volume if key != "name" and is_set(volume, key)]
    for extra in kinds[1:]:
        yield forbidden(path / extra, "may not specify more than 1 volume type")
    if not kinds:
        yield required(path, "must specify a volume type")
        return
    kind = kinds[0]
    here, source = path / kind, section(volume, kind)
    for key in _REQUIRED.get(kind, ()):
        if not text(source, key):
            yield required(here / key)
    if kind == "hostPath":
        yield from one_of(here / "type", text(source, "type"), _HOST_PATH_TYPES, needed=False)
    yield from _mode(here / "defaultMode", source, "defaultMode")
    yield from _key_paths(here / "items", source)


def _mode(path: str, obj: Mapping[str, Any], key: str) -> Iterator[FieldError]:
    mode = optional(obj, key)
    if mode is not None and not 0 <= mode <= _MODE_LIMIT:
        yield invalid(path, mode, _MODE_RULE)


def _key_paths(path: Path, source: Object) -> Iterator[FieldError]:
    for index, item in enumerate(entries(source, "items")):
        here = path @ index
        if not is_set(item, "fieldRef") and not is_set(item, "resourceFieldRef") and not text(item, "key"):
            yield required(here / "key")
        if not (target := text(item, "path")):
            yield required(here / "path")
        yield from _relative(here / "path", target)
        yield from _mode(here / "mode", item, "mode")


def _relative(path: str, target: str) -> Iterator[FieldError]:
    if target.startswith("/"):
        yield invalid(path, target, "must be a relative path")
    if ".." in target.split("/"):
        yield invalid(path, target, "must not contain '..'")


def mount_errors(path: Path, container: Object, volumes: frozenset[str]) -> Iterator[FieldError]:
    """The errors of a container's mounts; `volumes` are the names that its pod has."""
    path /= "volumeMounts"
    seen: set[str] = set()
    for index, mount in enumerate(entries(container, "volumeMounts")):
        here = path @ index
        name, target = text(mount, "name"), text(mount, "mountPath")
        if not name:
            yield required(here / "name")
        if name not in volumes:
            yield not_found(here / "name", name)
        if not target:
            yield required(here / "mountPath")
        elif target in seen:
            yield invalid(here / "mountPath", target, "must be unique")
        seen.add(target)
        yield from _relative(here / "subPath", text(mount, "subPath"))
        if (expression := text(mount, "subPathExpr")) and text(mount, "subPath"):
            yield invalid(here / "subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
