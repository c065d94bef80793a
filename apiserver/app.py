"""The API server, composed: the middleware list and the route table, each in one place.

Nothing here opens a socket; `apiserver.run` does.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

from aiohttp import web

from miniplane.aio import Clock
from miniplane.api import definitions
from miniplane.api.kind import Registry
from miniplane.api.schema import Schema
from miniplane.errors import path_not_found
from miniplane.kinds import POD_DISRUPTION_BUDGET
from miniplane.observe.metrics import CollectorRegistry
from miniplane.tokens import Key, new_key

from .admission import certificates, escalation, policies, quota, webhooks
from .admission.chain import Chain, Plugin
from .admission.plugins import PLUGINS
from .auditlog import AuditLog
from .auth import audit as audit_policy
from .auth import tokens
from .auth.accounts import Accounts
from .auth.authenticator import Authenticator
from .auth.authorizer import Authorizer
from .auth.rbac.escalation import Escalation
from .http import openid
from .http.call import Call, Handler, Middleware, Response, chain
from .http.documents import Documents, version
from .http.health import health, metrics_page
from .http.middleware.audit import audit
from .http.middleware.auditing import Auditor
from .http.middleware.authn import authn
from .http.middleware.authz import authz
from .http.middleware.errors import errors
from .http.middleware.flow import flow
from .http.middleware.metrics import metrics
from .http.middleware.request_id import request_id
from .http.podproxy import PodProxy
from .http.proxy import NodeProxy
from .http.render import Renderer
from .http.routes import parse
from .http.verbs import Resources, Verbs
from .http.watch import Watches
from .http.webhooks import WebhookClient
from .registry.allocators import ServiceAllocator
from .registry.catalog import Catalog, Definitions
from .registry.chance import PooledRandom
from .registry.companions import Companions
from .registry.decoding import Decoder
from .registry.eviction import Budgets
from .registry.finalizers import Deleter
from .registry.patching import Patcher
from .registry.pipeline import Pipeline
from .registry.reading import Reader
from .registry.reviews import Reviews
from .registry.subresources import Subresources
from .registry.tokenrequests import TokenRequests
from .settings import Settings
from .store.base import Store


@dataclass(frozen=True, slots=True)
class App:
    """A composed server: `handler` answers requests, `pipeline` writes in the server's own name."""

    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    pipeline: Pipeline
    registry: Registry
    reader: Reader
    watches: Watches
    proxy: NodeProxy
    webhooks: WebhookClient
    definitions: Definitions


def compose(
    settings: Settings,
    store: Store,
    registry: Registry,
    clock: Clock,
    kubelets: SSLContext | None = None,
    key: Key | None = None,
    audit_log: AuditLog | None = None,
) -> App:
    """Wire the layers around an open store.

    `kubelets` is the TLS client context for the way to the nodes. `key` signs service accounts' tokens; without
    one they hold as long as this server. `audit_log` takes audit events.
    """
    random = PooledRandom()
    cache = settings.data_dir / "cache" if settings.data_dir != Path() else None
    schemas = definitions.load(registry, cache_dir=cache)
    decoder = Decoder(Schema(schemas))
    authorizer = Authorizer(store)
    known = tokens.load(Path(settings.token_file)) if settings.token_file else tokens.Tokens({})
    accounts = Accounts(store, key or Key(new_key()), clock, settings.service_account_issuer, settings.api_audiences)
    authenticator = Authenticator(known, accounts)
    allocator = ServiceAllocator(store, settings.network, clock, random)
    catalog = Catalog(store, registry)
    outgoing = WebhookClient()
    pipeline = Pipeline(
        store,
        decoder=decoder,
        admission=_admission(authorizer, clock, catalog, webhooks.plugin(outgoing.post, decoder.reform)),
        companions=Companions((allocator,)),
        clock=clock,
        random=random,
    )
    reader, renderer, deleter = Reader(store), Renderer(clock), Deleter(pipeline)
    watches = Watches(
        reader, renderer, clock, timeout_s=settings.watch_timeout_s, bookmark_s=settings.bookmark_interval_s
    )
    proxy = NodeProxy(reader, kubelets)
    verbs = Verbs(
        Resources(
            pipeline=pipeline,
            reader=reader,
            deleter=deleter,
            subresources=Subresources(pipeline, deleter, Budgets(pipeline, POD_DISRUPTION_BUDGET)),
            patcher=Patcher(decoder),
            renderer=renderer,
            watches=watches,
            proxy=proxy,
            pod_proxy=PodProxy(reader, kubelets, random),
            reviews=Reviews(decoder, authorizer, authenticator),
            token_requests=TokenRequests(pipeline, accounts),
            authorizer=authorizer,
            body_timeout_s=settings.body_timeout_s,
        )
    )
    documents = Documents(
        catalog.get, lambda: schemas, urlsplit(settings.server_url).netloc or f"{settings.host}:{settings.port}"
    )
    collector = CollectorRegistry()
    outside, inside = _auditing(settings, audit_log, clock, decoder)
    middlewares = (
        request_id(),
        audit(settings.audit, clock),
        metrics(collector, clock),
        errors(),
        *outside,
        authn(authenticator, anonymous=settings.anonymous_auth),
        *inside,
        authz(authorizer),
        flow(settings.max_in_flight),
    )
    handler = chain(middlewares, _router(_routes(documents, collector, accounts), documents, verbs))

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        call = Call(request)
        call.route = parse(call.path, catalog.registry)
        return await handler(call)

    return App(serve, pipeline, registry, reader, watches, proxy, outgoing, Definitions(store, catalog, deleter))


def _admission(authorizer: Authorizer, clock: Clock, catalog: Catalog, outside: Plugin) -> Chain:
    """The plugins of every server, and behind them those that need what this one has; quotas last, as upstream."""
    return Chain(
        (
            *PLUGINS,
            escalation.plugin(Escalation(authorizer.rbac, authorizer)),
            certificates.plugin(authorizer, clock),
            policies.plugin(catalog.get),
            outside,
            quota.plugin(),
        )
    )


def _auditing(
    settings: Settings, log: AuditLog | None, clock: Clock, decoder: Decoder
) -> tuple[tuple[Middleware, ...], tuple[Middleware, ...]]:
    """The two halves of auditing, none where no log is kept."""
    if log is None:
        return (), ()
    policy = audit_policy.load(settings.audit_policy_file)
    auditor = Auditor(policy, log, clock, decoder.read_any)
    return (auditor.outside(),), (auditor.inside(),)


def _routes(documents: Documents, collector: CollectorRegistry, accounts: Accounts) -> Mapping[str, Handler]:
    """Every fixed path."""
    checks: dict[str, Callable[[], bool]] = {"ping": lambda: True}
    return {
        "/api": documents.api,
        "/apis": documents.apis,
        "/openapi/v3": documents.openapi_index,
        "/version": version(),
        "/healthz": health("healthz", checks),
        "/livez": health("livez", checks),
        "/readyz": health("readyz", checks),
        "/metrics": metrics_page(collector),
        openid.CONFIGURATION: openid.configuration(accounts, documents.address),
        openid.KEYS: openid.keys(accounts),
    }


def _router(fixed: Mapping[str, Handler], documents: Documents, verbs: Verbs) -> Handler:
    """Resources first, for they are most of the traffic; then fixed paths, groups and OpenAPI documents."""

    async def route(call: Call) -> Response:
        if call.route is not None:
            return await verbs.serve(call)
        path = call.path.rstrip("/")
        if call.method in ("GET", "HEAD"):
            if path in fixed:
                return await fixed[path](call)
            if path.startswith(("/api/", "/apis/")):
                return await documents.group(call)
            if path.startswith("/openapi/v3/"):
                return await documents.openapi_document(call)
        raise path_not_found()

    return route
