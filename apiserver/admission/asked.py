"""A write as policies and webhooks are told it: what their rules and selectors match, and what expressions see."""

import uuid
from collections.abc import Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.matching import Question

from ..store.base import ResourceKey
from .chain import Attributes


def question_of(attributes: Attributes) -> Question:
    """What rules and selectors are matched with."""
    objects = [obj for obj in (attributes.obj, attributes.old) if obj is not None]
    return Question(
        operation=attributes.operation.value,
        kind=attributes.kind,
        subresource=attributes.subresource,
        name=attributes.name,
        namespace=attributes.namespace,
        labels=tuple(obj["metadata"].get("labels") or {} for obj in objects),
        namespace_labels=_namespace_labels(attributes),
    )


def request_of(attributes: Attributes) -> Object:
    """The request, as an AdmissionReview tells it, without the objects."""
    kind = attributes.kind
    version = {"group": kind.group, "version": kind.version}
    return {
        "uid": str(uuid.uuid4()),
        "kind": version | {"kind": kind.kind},
        "resource": version | {"resource": kind.plural},
        "requestKind": version | {"kind": kind.kind},
        "requestResource": version | {"resource": kind.plural},
        "subResource": attributes.subresource,
        "requestSubResource": attributes.subresource,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "operation": attributes.operation.value,
        "userInfo": attributes.user.info,
        "dryRun": attributes.dry_run,
    }


def bindings_of(attributes: Attributes) -> dict[str, Any]:
    """The variables that every expression about a write has."""
    return {
        "object": attributes.obj,
        "oldObject": attributes.old,
        "request": request_of(attributes),
        "namespaceObject": _namespace(attributes),
    }


def _namespace(attributes: Attributes) -> Object | None:
    if not attributes.kind.namespaced:
        return None
    entry = attributes.store.get(ResourceKey("/namespaces", "", attributes.namespace))
    return entry.obj if entry else None


def _namespace_labels(attributes: Attributes) -> Mapping[str, str] | None:
    if attributes.resource == "/namespaces":
        obj = attributes.obj or attributes.old or {}
        return (obj.get("metadata") or {}).get("labels") or {}
    if not attributes.kind.namespaced:
        return None
    return ((_namespace(attributes) or {}).get("metadata") or {}).get("labels") or {}
