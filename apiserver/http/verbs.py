"""What HTTP methods on resource paths mean: the query and body in, the registry's answer out."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from miniplane.api.decode import media_type
from miniplane.api.kind import Kind, Object
from miniplane.errors import bad_request, method_not_allowed, path_not_found

from ..auth.authorizer import Authorizer
from ..registry.finalizers import DeleteOptions, Deleter, parse_options
from ..registry.ownership import read_application, read_scale_application, refuse_force
from ..registry.patching import APPLY_PATCH, Patcher
from ..registry.pipeline import Pipeline, Update
from ..registry.reading import ListOptions, Page, Reader, Selection, invalid_option, parse_revision
from ..registry.request import Body, FieldValidation, Target, WriteOptions, Written
from ..registry.reviews import Reviews
from ..registry.subresources import Subresources, scale_of
from ..registry.tokenrequests import TokenRequests
from .call import Call, Response
from .podproxy import PodProxy
from .proxy import NodeProxy
from .render import Renderer
from .routes import Route, is_watch
from .watch import Watches

_MANAGER_LENGTH = 128
_Serve = Callable[[Call, Target], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Resources:
    """The registry and what renders its results: all that the verbs stand on."""

    pipeline: Pipeline
    reader: Reader
    deleter: Deleter
    subresources: Subresources
    patcher: Patcher
    renderer: Renderer
    watches: Watches
    proxy: NodeProxy
    pod_proxy: PodProxy
    reviews: Reviews
    token_requests: TokenRequests
    authorizer: Authorizer
    body_timeout_s: float


def write_options(call: Call) -> WriteOptions:
    """`dryRun`, `fieldValidation` and `fieldManager` of the query.

    Raises:
        ApiError: BadRequest.
    """
    query, agent = call.query, manager_of(call.request.headers.get("User-Agent", ""))
    if not query:
        return WriteOptions(field_manager=agent)
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = query.get("fieldValidation", "") or FieldValidation.WARN
    if validation not in set(FieldValidation):
        words = '"Ignore", "Strict", "Warn"'
        raise bad_request(f'fieldValidation: Unsupported value: "{validation}": supported values: {words}')
    manager = query.get("fieldManager", "")
    if len(manager) > _MANAGER_LENGTH or not manager.isprintable():
        raise bad_request(f"fieldManager: Invalid value: may not be more than {_MANAGER_LENGTH} printable characters")
    force = call.flag("force") if "force" in query else None
    return WriteOptions(dry_run == "All", FieldValidation(validation), manager or agent, bool(manager), force)


@functools.lru_cache(maxsize=256)
def manager_of(user_agent: str) -> str:
    """Who a client is that does not name its fieldManager: its program, without the version."""
    name = "".join(letter for letter in user_agent.partition("/")[0] if letter.isprintable())
    return name.encode()[:_MANAGER_LENGTH].decode(errors="ignore") or "unknown"


def success(code: int) -> Object:
    """A Status that says that it worked."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


class Verbs:
    """Serves every resource path."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._object: Mapping[str, tuple[str, _Serve]] = {
            "GET": ("get", self._get),
            "HEAD": ("get", self._get),
            "PUT": ("update", self._put),
            "PATCH": ("patch", self._patch),
            "DELETE": ("delete", self._delete),
        }
        self._collection: Mapping[str, tuple[str, _Serve]] = {
            "GET": ("list", self._list),
            "HEAD": ("list", self._list),
            "POST": ("create", self._create),
            "DELETE": ("deletecollection", self._delete_collection),
        }
        self._below: Mapping[tuple[str, str], tuple[str, _Serve]] = {
            ("status", "GET"): ("get", self._get),
            ("status", "PUT"): ("update", self._put_status),
            ("status", "PATCH"): ("patch", self._patch_status),
            ("approval", "GET"): ("get", self._get),
            ("approval", "PUT"): ("update", self._put_approval),
            ("approval", "PATCH"): ("patch", self._patch_approval),
            ("ephemeralcontainers", "GET"): ("get", self._get),
            ("ephemeralcontainers", "PUT"): ("update", self._put_ephemeral),
            ("ephemeralcontainers", "PATCH"): ("patch", self._patch_ephemeral),
            ("scale", "GET"): ("get", self._get_scale),
            ("scale", "PUT"): ("update", self._put_scale),
            ("scale", "PATCH"): ("patch", self._patch_scale),
            ("binding", "POST"): ("create", self._bind),
            ("eviction", "POST"): ("create", self._evict),
            ("finalize", "PUT"): ("update", self._finalize),
            ("token", "POST"): ("create", self._request_token),
        }

    async def serve(self, call: Call) -> Response:
        """Answer a request on a resource.

        Raises:
            ApiError: NotFound for a resource that is none, MethodNotAllowed, and whatever the registry raises.
        """
        route = call.route
        if route is None or route.kind is None:
            raise path_not_found()
        kind = route.kind
        face = None if kind.face is None else kind
        target = Target(kind.stored, call.user, route.namespace if kind.namespaced else "", route.name, face)
        if route.subresource:
            return await self._serve_below(call, route, kind, target)
        verb, serve = (self._object if route.name else self._collection).get(call.method, ("", None))
        if serve is None or verb not in kind.verbs:
            raise method_not_allowed(kind.resource, verb or call.method)
        if kind.namespaced and not route.namespace and verb == "create":
            raise method_not_allowed(kind.resource, verb)
        return await serve(call, target)

    async def _serve_below(self, call: Call, route: Route, kind: Kind, target: Target) -> Response:
        if self._resources.proxy.serves(kind, route.subresource):
            return await self._resources.proxy.serve(call, route, self._resources.pipeline.require(target).obj)
        if self._resources.pod_proxy.serves(kind, route.subresource):
            return await self._resources.pod_proxy.serve(call, route)
        subresource = kind.subresource(route.subresource)
        if subresource is None or route.rest:
            raise path_not_found()
        method = "GET" if call.method == "HEAD" else call.method
        verb, serve = self._below.get((route.subresource, method), ("", None))
        if serve is None or verb not in subresource.verbs:
            raise method_not_allowed(kind.resource, verb or call.method)
        return await serve(call, target)

    async def _body(self, call: Call) -> Body:
        data = await call.body(self._resources.body_timeout_s)
        return Body(data, call.request.headers.get("Content-Type", ""))

    def _written(self, call: Call, target: Target, written: Written) -> Response:
        call.warnings += written.warnings
        return self._resources.renderer.entry(call, target.served, written.entry, 201 if written.created else 200)

    async def _get(self, call: Call, target: Target) -> Response:
        reader = self._resources.reader
        if call.query and is_watch(call.query):
            return await self._list(call, replace(target, name=""), f"metadata.name={target.name}")
        if revision := call.query.get("resourceVersion", ""):
            await reader.wait_for(parse_revision(revision))
        return self._resources.renderer.entry(call, target.served, self._resources.pipeline.require(target))

    async def _list(self, call: Call, target: Target, fields: str = "") -> Response:
        query, resources = call.query, self._resources
        fields = ",".join(part for part in (fields, query.get("fieldSelector", "")) if part)
        selection = Selection.parse(target.served, query.get("labelSelector", ""), fields)
        if is_watch(query):
            return await resources.watches.serve(call, target, selection)
        if "sendInitialEvents" in query:
            raise invalid_option("sendInitialEvents", "sendInitialEvents is forbidden for list")
        options = ListOptions(
            max(call.number("limit"), 0),
            query.get("continue", ""),
            query.get("resourceVersion", ""),
            query.get("resourceVersionMatch", ""),
        )
        page = await resources.reader.list(target, selection, options)
        return resources.renderer.page(call, target.served, page)

    async def _create(self, call: Call, target: Target) -> Response:
        if target.kind.answered:
            return await self._review(call, target)
        written = await self._resources.pipeline.create(target, await self._body(call), write_options(call))
        return self._written(call, target, written)

    async def _review(self, call: Call, target: Target) -> Response:
        body, options = await self._body(call), write_options(call)
        answer = self._resources.reviews.answer(target, body, options, call.warnings)
        return self._resources.renderer.object(call, answer, 201)

    async def _request_token(self, call: Call, target: Target) -> Response:
        body, options = await self._body(call), write_options(call)
        return self._resources.renderer.object(
            call, await self._resources.token_requests.create(target, body, options), 201
        )

    async def _put(self, call: Call, target: Target, subresource: str = "") -> Response:
        body, options = await self._body(call), write_options(call)
        written = await self._resources.pipeline.replace(target, body, options, subresource=subresource)
        return self._written(call, target, written)

    def _require(self, call: Call, verb: str) -> None:
        """Ask for one more verb on what the request is about; an administrator's has no action, for none is needed."""
        if call.action is not None:
            self._resources.authorizer.check(call.user, replace(call.action, verb=verb))

    async def _put_status(self, call: Call, target: Target) -> Response:
        return await self._put(call, target, "status")

    async def _patch(self, call: Call, target: Target, subresource: str = "") -> Response:
        body, options = await self._body(call), write_options(call)
        warnings: list[str] = []
        pipeline = self._resources.pipeline
        if media_type(body.content_type) == APPLY_PATCH:
            application = read_application(pipeline.decoder, target, body, options, warnings, subresource)
            if call.action is not None and not subresource and pipeline.store.get(target.key) is None:
                self._resources.authorizer.check(call.user, replace(call.action, verb="create"))
            application = replace(application, permit_creation=lambda: self._require(call, "create"))
            return self._written(call, target, await pipeline.apply(application, warnings))
        if options.force is not None:
            raise refuse_force()
        change = self._resources.patcher.change(body, target.served, warnings, options.field_validation)
        update = Update(change, subresource, conditional=False)
        written = await pipeline.update(target, update, options, warnings)
        return self._written(call, target, written)

    async def _patch_status(self, call: Call, target: Target) -> Response:
        return await self._patch(call, target, "status")

    async def _put_approval(self, call: Call, target: Target) -> Response:
        return await self._put(call, target, "approval")

    async def _patch_approval(self, call: Call, target: Target) -> Response:
        return await self._patch(call, target, "approval")

    async def _put_ephemeral(self, call: Call, target: Target) -> Response:
        return await self._put(call, target, "ephemeralcontainers")

    async def _patch_ephemeral(self, call: Call, target: Target) -> Response:
        return await self._patch(call, target, "ephemeralcontainers")

    async def _delete(self, call: Call, target: Target) -> Response:
        options = await self._delete_options(call)
        written = await self._resources.deleter.delete(target, options)
        if not written.deleted or target.kind.strategy.returns_deleted:
            return self._written(call, target, written)
        kind = target.kind
        details = {"name": target.name, "group": kind.group, "kind": kind.plural}
        details = {name: value for name, value in details.items() if value}
        details["uid"] = written.entry.obj["metadata"]["uid"]
        status = success(200)
        del status["code"]
        return self._resources.renderer.object(call, {**status, "details": details})

    async def _delete_options(self, call: Call) -> DeleteOptions:
        body = await self._body(call)
        if not body.data.strip():
            body = Body(b"")
        return parse_options(self._resources.pipeline.decoder, body, call.query)

    async def _delete_collection(self, call: Call, target: Target) -> Response:
        query, options = call.query, await self._delete_options(call)
        selection = Selection.parse(target.served, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        entries = await self._resources.deleter.delete_collection(target, selection, options)
        page = Page(entries, self._resources.reader.store.revision)
        return self._resources.renderer.page(call, target.served, page)

    async def _get_scale(self, call: Call, target: Target) -> Response:
        return self._scale(call, target, self._resources.pipeline.require(target).obj)

    def _scale(self, call: Call, target: Target, obj: Object) -> Response:
        return self._resources.renderer.object(call, scale_of(obj, target.kind.scale_paths))

    async def _put_scale(self, call: Call, target: Target) -> Response:
        scale = self._resources.pipeline.decoder.read(await self._body(call)).obj
        return await self._change_scale(call, target, lambda _: scale, conditional=True)

    async def _patch_scale(self, call: Call, target: Target) -> Response:
        body, options = await self._body(call), write_options(call)
        if media_type(body.content_type) == APPLY_PATCH:
            pipeline = self._resources.pipeline
            application = read_scale_application(pipeline.decoder, target, body, options, call.warnings)
            return self._scale(call, target, (await pipeline.apply(application)).entry.obj)
        if options.force is not None:
            raise refuse_force()
        apply = self._resources.patcher.apply(body, None, call.warnings, options.field_validation)
        return await self._change_scale(call, target, apply, conditional=False)

    async def _change_scale(
        self, call: Call, target: Target, make: Callable[[Object], Object], *, conditional: bool
    ) -> Response:
        update_scale = self._resources.subresources.update_scale
        written = await update_scale(target, make, write_options(call), conditional=conditional)
        return self._scale(call, target, written.entry.obj)

    async def _bind(self, call: Call, target: Target) -> Response:
        await self._resources.subresources.bind(target, await self._body(call), write_options(call))
        return self._resources.renderer.object(call, success(201), 201)

    async def _evict(self, call: Call, target: Target) -> Response:
        await self._resources.subresources.evict(target, await self._body(call), write_options(call))
        return self._resources.renderer.object(call, success(201), 201)

    async def _finalize(self, call: Call, target: Target) -> Response:
        body, options = await self._body(call), write_options(call)
        return self._written(call, target, await self._resources.subresources.finalize(target, body, options))
