"""Managed fields in the registry: who owns what after a write, and PATCH as server-side apply."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from miniplane.api import apply as applying
from miniplane.api import decode as decoding
from miniplane.api import managed
from miniplane.api.decode import Decoded
from miniplane.api.kind import Object
from miniplane.api.managed import Writer
from miniplane.api.meta import clone
from miniplane.api.nodes import Node
from miniplane.api.typed import TypedError
from miniplane.errors import ApiError, Cause, Invalid, Reason, bad_request

from .bodies import SCALE_BODY
from .decoding import Decoder, check_kind
from .request import Body, Target, WriteOptions

_OPTIONS = "PatchOptions.meta.k8s.io"


def own_created(obj: Object, node: Node, options: WriteOptions, now: str) -> None:
    """Note who creates an object; the server's own writes have no manager and own nothing."""
    if options.field_manager:
        entries = managed.created(obj, node, Writer(options.field_manager, obj["apiVersion"], now))
        if entries:
            obj["metadata"]["managedFields"] = entries


def own_updated(new: Object, old: Object, given: Any, node: Node, writer: Writer) -> None:
    """Note who updates an object; `given` are the managedFields in what the client sent.

    An object without any is not counted, as upstream: the first apply gives its fields an owner.
    """
    stored = old["metadata"].get("managedFields") or []
    entries = stored
    if given is not None and given != stored:
        read = managed.read(given)
        entries = stored if read is None else read
    if entries and writer.manager:
        entries = managed.updated(entries, managed.changes(old, new, node), writer)
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)


@dataclass(frozen=True, slots=True)
class Application:
    """An apply request, decoded: makes the wanted object of the stored one, or of nothing."""

    target: Target
    config: Object
    node: Node
    options: WriteOptions
    subresource: str = ""
    permit_creation: Callable[[], None] = lambda: None
    """Raises where the caller may change objects and not make them."""

    @property
    def is_conditional(self) -> bool:
        """Whether the configuration says of which revision the object must be."""
        return bool(self.config["metadata"].get("resourceVersion"))

    def __call__(self, live: Object, now: str) -> Object:
        """The object that applying makes of a private copy, managedFields inside.

        Raises:
            ApiError: Conflict with other managers, BadRequest for what can't be merged.
        """
        kind = self.target.kind
        writer = Writer(self.options.field_manager, kind.api_version, now, self.subresource)
        config: Object = clone(self.config)  # merging shares its parts
        meta = config["metadata"]
        try:
            obj = applying.apply(live, config, self.node, writer, force=bool(self.options.force)).obj
        except TypedError as error:
            name = "/".join(filter(None, (self.target.namespace, self.target.name)))
            gvk = f"{kind.group}/{kind.version}, Kind={kind.kind}"
            raise bad_request(f"failed to create typed patch object ({name}; {gvk}): {error}") from error
        for name in ("uid", "resourceVersion"):
            if meta.get(name):
                obj["metadata"][name] = meta[name]
        return obj

    def new(self, now: str) -> Object:
        """The object to create where none is.

        Raises:
            ApiError: Conflict where the configuration is of a certain object; as calling.
        """
        meta = self.config["metadata"]
        if uid := meta.get("uid"):
            text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise ApiError(_failed(self.target, text), reason=Reason.CONFLICT)
        kind = self.target.kind
        empty = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": self.target.name}}
        return self(empty, now)


def _failed(target: Target, why: str) -> str:
    return f'Operation cannot be fulfilled on {target.kind.resource} "{target.name}": {why}'


def read_application(
    decoder: Decoder, target: Target, body: Body, options: WriteOptions, warnings: list[str], subresource: str = ""
) -> Application:
    """An apply patch, checked.

    Raises:
        ApiError: Invalid without a fieldManager, BadRequest for what is no configuration of this object.
    """
    require_manager(options)
    decoded = _decoded(body.data)
    config, kind = decoded.obj, target.served
    for name in ("apiVersion", "kind"):
        if not config.get(name):
            raise bad_request(f"invalid object type: {name} must be set")
    check_kind(config, kind.kind, kind.api_version)
    meta = config["metadata"]
    if meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if meta.get("name", target.name) != target.name:
        text = f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
        raise bad_request(text)
    decoder.check(kind, config, options.field_validation, warnings, decoded.duplicate_fields)
    config = kind.taken(config)
    if subresource == "status":
        config = {name: config[name] for name in ("apiVersion", "kind", "metadata", "status") if name in config}
    elif kind.subresource("status"):
        config.pop("status", None)
    return Application(target, config, decoder.schema.node(target.kind), options, subresource)


def read_scale_application(
    decoder: Decoder, target: Target, body: Body, options: WriteOptions, warnings: list[str]
) -> Application:
    """An apply patch on `/scale`: the replicas of the scaled object.

    Raises:
        ApiError: as `read_application`.
    """
    scale = read_application(decoder, replace(target, kind=SCALE_BODY, face=None), body, options, warnings)
    kind, meta = target.kind, scale.config["metadata"]
    kept = {name: meta[name] for name in ("uid", "resourceVersion") if meta.get(name)}
    config = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": kept}
    replicas = (scale.config.get("spec") or {}).get("replicas")
    if replicas is not None:
        config["spec"] = {"replicas": replicas}
    return Application(target, config, decoder.schema.node(kind), options, "scale")


def _decoded(data: bytes) -> Decoded:
    """Most clients send JSON, which is YAML too and read many times faster."""
    if data.lstrip()[:1] == b"{":
        with contextlib.suppress(ApiError):
            return decoding.decode(data)
    return decoding.decode(data, "application/yaml")


def require_manager(options: WriteOptions) -> None:
    """Refuse an apply that does not say who applies."""
    if not options.manager_given:
        cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
        raise Invalid(f'{_OPTIONS} "" is invalid: fieldManager: {cause.message}', causes=[cause])


def refuse_force() -> ApiError:
    """The error of `force` on another patch."""
    cause = Cause("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
    return Invalid(f'{_OPTIONS} "" is invalid: force: {cause.message}', causes=[cause])
