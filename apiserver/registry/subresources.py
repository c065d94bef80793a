"""Subresources that are more than a part of their object: scale, binding, eviction, finalize."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from miniplane.api.kind import Object, ScalePaths
from miniplane.api.meta import get_path, set_condition
from miniplane.api.selectors import LabelSelector
from miniplane.api.validation import invalid as invalid_field
from miniplane.errors import Cause, Resource, bad_request, conflict, invalid, not_found

from ..admission.chain import Attributes, Operation
from ..store.base import Draft, Entry, KeyMissing, Put, Remove, RevisionConflict, Write
from .bodies import BINDING, EVICTION, SCALE_BODY, read_lenient
from .decoding import check_kind, copy_of
from .eviction import Budgets
from .finalizers import DeleteOptions, Deleter, options_of
from .pipeline import Pipeline, Update, is_finished
from .request import Body, Target, WriteOptions, Written

SCALE_RESOURCE = Resource("scales", "autoscaling", "Scale")
BINDING_RESOURCE = Resource("pods/binding", "", "Binding")
_RETRIES = 5


def scale_of(obj: Object, paths: ScalePaths | None = None) -> Object:
    """The Scale of an object that has `spec.replicas`, or has it where `paths` say."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector") or {}
    if obj["kind"] == "ReplicationController":
        selector = {"matchLabels": selector}
    told = {"replicas": status.get("replicas", 0), "selector": ""}
    replicas = spec.get("replicas", 1)
    if paths is None:
        told["selector"] = str(LabelSelector.from_object(selector))
    else:
        replicas, told["replicas"] = get_path(obj, paths.spec) or 0, get_path(obj, paths.status) or 0
        told["selector"] = get_path(obj, paths.selector) or "" if paths.selector else ""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": replicas},
        "status": told,
    }


class Subresources:
    """Serves them, for whatever kind declares them."""

    def __init__(self, pipeline: Pipeline, deleter: Deleter, budgets: Budgets) -> None:
        self._pipeline = pipeline
        self._deleter = deleter
        self._budgets = budgets

    async def update_scale(
        self, target: Target, make: Callable[[Object], Object], options: WriteOptions, *, conditional: bool
    ) -> Written:
        """Set the replicas that `make` makes of the present Scale; the entry is the scaled object's.

        Raises:
            ApiError: as `Pipeline.update`; Invalid for a number of replicas that is none.
        """

        def change(entry: Entry, warnings: list[str]) -> Object:
            paths = target.kind.scale_paths
            scale = make(scale_of(entry.obj, paths))
            check_kind(scale, SCALE_BODY.kind, SCALE_BODY.api_version)
            self._pipeline.decoder.check(SCALE_BODY, scale, options.field_validation, warnings)
            replicas = (scale.get("spec") or {}).get("replicas") or 0
            if replicas < 0:
                text = "must be greater than or equal to 0"
                cause = invalid_field("spec.replicas", replicas, text).to_cause()
                raise invalid(SCALE_RESOURCE, target.name, [cause])
            meta = scale["metadata"]
            if meta.get("name") not in (None, "", target.name):
                text = f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
                raise bad_request(text)
            new: Object = copy_of(entry.value)
            *parents, last = (paths or ScalePaths()).spec.removeprefix(".").split(".")
            holder = new
            for step in parents:
                holder = holder.setdefault(step, {})
            holder[last] = replicas
            new["metadata"]["resourceVersion"] = meta.get("resourceVersion") or str(entry.revision)
            if meta.get("uid"):
                new["metadata"]["uid"] = meta["uid"]
            return new

        return await self._pipeline.update(target, Update(change, conditional=conditional, via="scale"), options)

    async def bind(self, target: Target, body: Body, options: WriteOptions) -> None:
        """Put a pod on a node.

        Raises:
            ApiError: NotFound, BadRequest, Conflict where the pod is bound or going.
        """
        binding = self._pipeline.decoder.decode(BINDING, body, options.field_validation, [])
        node = (binding.get("target") or {}).get("name")
        if not node or (binding["target"].get("kind") or "Node") != "Node":
            cause = Cause("FieldValueRequired", "Required value", "target.name")
            raise invalid(BINDING_RESOURCE, target.name, [cause])

        def change(pod: Object) -> None:
            self._check_binding(target, pod, binding)
            pod["spec"]["nodeName"] = node
            annotations = binding["metadata"].get("annotations")
            if annotations:
                pod["metadata"].setdefault("annotations", {}).update(annotations)
            conditions = pod.setdefault("status", {}).setdefault("conditions", [])
            set_condition(conditions, {"type": "PodScheduled", "status": "True"}, self._pipeline.clock.now())
            for item in conditions:
                if item["type"] == "PodScheduled":
                    item.pop("reason", None)
                    item.pop("message", None)

        await self._rewrite(target, change, dry_run=options.dry_run)

    @staticmethod
    def _check_binding(target: Target, pod: Object, binding: Object) -> None:
        uid, name = binding["metadata"].get("uid"), target.name
        if uid and uid != pod["metadata"]["uid"]:
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {pod['metadata']['uid']}"
            raise conflict(BINDING_RESOURCE, name, text)
        if pod["metadata"].get("deletionTimestamp"):
            raise conflict(BINDING_RESOURCE, name, f"pod {name} is being deleted, cannot be assigned to a host")
        if bound := pod["spec"].get("nodeName"):
            raise conflict(BINDING_RESOURCE, name, f'pod {name} is already assigned to node "{bound}"')
        if pod["spec"].get("schedulingGates"):
            raise conflict(BINDING_RESOURCE, name, f"pod {name} has non-empty .spec.schedulingGates")

    async def evict(self, target: Target, body: Body, options: WriteOptions) -> None:
        """Delete a pod as its Eviction asks, if its disruption budget lets it go.

        Raises:
            ApiError: as deletion and `Budgets.allow`.
        """
        eviction = read_lenient(self._pipeline.decoder, body, EVICTION, options.field_validation)
        name = (eviction.get("metadata") or {}).get("name")
        if name and name != target.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        wanted = delete_options(eviction.get("deleteOptions") or {}, options)
        revision = await self._budgets.allow(target, replace(options, dry_run=wanted.dry_run))
        if revision and not wanted.resource_version:
            wanted = replace(wanted, resource_version=revision)
        await self._deleter.delete(target, wanted)

    async def finalize(self, target: Target, body: Body, options: WriteOptions) -> Written:
        """Replace `spec.finalizers`; an object that waits for nothing else goes with it.

        Raises:
            ApiError: NotFound, Conflict.
        """
        wanted = self._pipeline.decoder.decode(target.kind, body, options.field_validation, [])

        def change(obj: Object) -> None:
            given = wanted["metadata"].get("resourceVersion")
            if given and given != obj["metadata"]["resourceVersion"]:
                raise conflict(target.kind.resource, target.name)
            finalizers = (wanted.get("spec") or {}).get("finalizers") or []
            obj.setdefault("spec", {})["finalizers"] = finalizers
            if not finalizers:
                obj["spec"].pop("finalizers")

        return await self._rewrite(target, change, dry_run=options.dry_run)

    async def _rewrite(self, target: Target, change: Callable[[Object], Any], *, dry_run: bool) -> Written:
        """Change a stored object past its strategy, which guards against clients and not against the server."""
        pipeline = self._pipeline
        for _ in range(_RETRIES):
            entry = pipeline.require(target)
            new: Object = copy_of(entry.value)
            change(new)
            attributes = Attributes(
                Operation.UPDATE, target.kind, target.namespace, target.name, target.user, pipeline.store
            )
            attributes.obj, attributes.old = new, entry.obj
            attributes.dry_run = dry_run
            await pipeline.admission.validate(attributes)
            gone = is_finished(new)
            if new == entry.obj and not gone:
                return Written(entry)
            draft = Draft(new)
            if dry_run:
                return Written(draft.entry(entry.key, entry.revision, entry.created_revision), deleted=gone)
            write: Write = Remove(entry.key, entry.revision, draft) if gone else Put(entry.key, draft, entry.revision)
            try:
                commit = await pipeline.store.commit([write])
            except RevisionConflict:
                continue
            except KeyMissing as error:
                raise not_found(target.kind.resource, target.name) from error
            return Written(commit.entries[0], deleted=gone)
        raise conflict(target.kind.resource, target.name)


def delete_options(given: Object, options: WriteOptions) -> DeleteOptions:
    """The DeleteOptions inside an Eviction, a dry run of which is one of the deletion."""
    dry_run = ["All"] if options.dry_run else given.get("dryRun") or []
    return options_of({**given, "dryRun": dry_run})
