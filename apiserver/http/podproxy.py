"""`pods/proxy` and `services/proxy`: HTTP to what runs in the cluster, by way of a node, for whoever may.

The kubelet of the backend's node dials; HTTP is spoken here, so that every method, streamed bodies both ways and
upgrades (WebSockets) go through. Counterpart upstream: the proxy subresources and apimachinery's UpgradeAwareHandler.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from urllib.parse import urlencode

import aiohttp
from aiohttp import hdrs, web
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from miniplane import upgrade
from miniplane.api.kind import Kind, Object
from miniplane.api.wellknown import KUBELET_ADDRESS, SERVICE_NAME
from miniplane.errors import ApiError, Reason, Resource, bad_request, not_found

from ..registry.reading import Reader
from ..store.base import ResourceKey
from .call import Call, Response
from .routes import Route

_RESOURCES = {"pods": Resource("pods", "", "Pod"), "services": Resource("services", "", "Service")}
_SCHEMES = ("", "http", "https")
_PREFIX_PARTS = 8
"""`/api/v1/namespaces/NAMESPACE/pods/NAME/proxy`, and what follows is the backend's."""
_OURS = ("authorization", "host", "impersonate-", "x-remote-", "x-forwarded-for", "x-forwarded-uri")
"""Beginnings of headers that are for the API server or are told anew: a backend learns nobody's credentials."""
_CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a request goes: an address in the pods' network, and the kubelet that dials it."""

    kubelet: str
    host: str
    port: int
    is_tls: bool

    @property
    def authority(self) -> str:
        """As in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_name(text: str, what: str) -> tuple[str, str, str]:
    """Scheme, name and port of `[scheme:]name[:port]`. Raises BadRequest."""
    match text.split(":"):
        case [name]:
            found = ("", name, "")
        case [name, port]:
            found = ("", name, port)
        case [scheme, name, port] if scheme in _SCHEMES:
            found = (scheme, name, port)
        case _:
            found = ("", "", "")
    if not found[1]:
        raise bad_request(f'invalid {what} request "{text}"')
    return found


class PodProxy:
    """Answers with what a pod answers."""

    def __init__(self, reader: Reader, context: ssl.SSLContext | None, chance: Random) -> None:
        self._reader = reader
        self._context = context
        self._chance = chance

    @staticmethod
    def serves(kind: Kind, subresource: str) -> bool:
        """Whether a subresource is answered here."""
        return not kind.group and kind.plural in _RESOURCES and subresource == "proxy"

    async def serve(self, call: Call, route: Route) -> Response:
        """Pass the request on.

        Raises:
            ApiError: BadRequest, NotFound; ServiceUnavailable where nobody answers.
        """
        rest = call.request.rel_url.raw_path.split("/", _PREFIX_PARTS)[_PREFIX_PARTS:]
        is_upgrade = bool(call.request.headers.get(hdrs.UPGRADE))
        backend = self._backend(route)
        if not rest and not is_upgrade:
            place = call.request.rel_url.raw_path + "/" + (f"?{call.query_string}" if call.query_string else "")
            return web.Response(status=HTTPStatus.MOVED_PERMANENTLY, headers={hdrs.LOCATION: place})
        target = f"/{rest[0] if rest else ''}" + (f"?{call.query_string}" if call.query_string else "")
        passing = _Passing(call, backend, target, lambda: self._dial(backend))
        return await (passing.upgrade() if is_upgrade else passing.plain())

    def _backend(self, route: Route) -> Backend:
        scheme, name, port = parse_name(route.name, route.resource.removesuffix("s"))
        entry = self._reader.store.get(ResourceKey(f"/{route.resource}", route.namespace, name))
        if entry is None:
            raise not_found(_RESOURCES[route.resource], name)
        if route.resource == "pods":
            node, host, number = _of_pod(entry.obj, port)
        else:
            node, host, number = self._of_service(entry.obj, port)
        return Backend(self._kubelet(node), host, number, scheme == "https")

    def _kubelet(self, node: str) -> str:
        """The address of a node's kubelet; of any node's for a backend that is on none."""
        store = self._reader.store
        entry = store.get(ResourceKey("/nodes", "", node)) if node else None
        found = [entry] if entry is not None else store.list("/nodes").entries if not node else []
        for each in found:
            if address := (each.obj["metadata"].get("annotations") or {}).get(KUBELET_ADDRESS):
                return str(address)
        raise _unavailable(f'error trying to reach service: no kubelet of node "{node}" is known')

    def _of_service(self, service: Object, wanted: str) -> tuple[str, str, int]:
        meta, ports = service["metadata"], (service.get("spec") or {}).get("ports") or ()
        name = f"{meta['name']}:{wanted}" if wanted else meta["name"]
        if wanted:
            ports = [port for port in ports if wanted in (port.get("name"), str(port["port"]))]
        elif len(ports) != 1:
            ports = [port for port in ports if not port.get("name")]
        if not ports:
            raise _unavailable(f'no service port "{wanted}" found for service "{meta["name"]}"')
        ready = list(self._ready(meta["namespace"], meta["name"], ports[0].get("name", "")))
        if not ready:
            raise _unavailable(f'no endpoints available for service "{name}"')
        return self._chance.choice(ready)

    def _ready(self, namespace: str, service: str, port: str) -> Iterator[tuple[str, str, int]]:
        for entry in self._reader.store.list("discovery.k8s.io/endpointslices", namespace).entries:
            if (entry.obj["metadata"].get("labels") or {}).get(SERVICE_NAME) != service:
                continue
            numbers = [item["port"] for item in entry.obj.get("ports") or () if (item.get("name") or "") == port]
            for endpoint in entry.obj.get("endpoints") or ():
                if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint.get("nodeName", ""), endpoint["addresses"][0], numbers[0]

    async def _dial(self, backend: Backend) -> upgrade.Opened:
        query = {"host": backend.host, "port": str(backend.port), "tls": str(backend.is_tls).lower()}
        headers = CIMultiDict({"Host": backend.kubelet, "Connection": "Upgrade", "Upgrade": "tcp"})
        asked = upgrade.Asked(method="POST", target=f"/dial?{urlencode(query)}", headers=headers)
        host, _, port = backend.kubelet.rpartition(":")
        try:
            return await upgrade.connect(
                host.strip("[]"), int(port), asked, tls=self._context, timeout_s=_CONNECT_TIMEOUT_S
            )
        except upgrade.Refused as error:
            raise _unavailable(f"error trying to reach service: {error.body.decode('utf-8', 'replace')}") from error
        except OSError as error:
            raise _unavailable(f"error trying to reach service: the node's kubelet: {error}") from error


def _of_pod(pod: Object, wanted: str) -> tuple[str, str, int]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    containers = spec.get("containers") or ()
    declared = [item["ports"][0]["containerPort"] for item in containers if item.get("ports")]
    if wanted and not wanted.isdigit():
        raise bad_request(f'invalid pod request "{pod["metadata"]["name"]}:{wanted}": the port must be a number')
    if not status.get("podIP"):
        raise bad_request("address not allowed")
    return spec.get("nodeName", ""), status["podIP"], int(wanted or (declared or [80])[0])


def _unavailable(text: str) -> ApiError:
    return ApiError(text, reason=Reason.SERVICE_UNAVAILABLE)


class _Hop(aiohttp.BaseConnector):
    """One connection, dialled by a kubelet; TLS with the backend is its part too."""

    def __init__(self, dial: Callable[[], Awaitable[upgrade.Opened]]) -> None:
        super().__init__(force_close=True)
        self._dial = dial
        self._opened: upgrade.Opened | None = None

    async def _create_connection(self, req: object, traces: object, timeout: object) -> ResponseHandler:  # noqa: ARG002  aiohttp's signature
        self._opened = await self._dial()
        protocol: ResponseHandler = self._factory()
        self._opened.hand_over(protocol)
        return protocol


@dataclass(frozen=True, slots=True)
class _Passing:
    """One request on its way."""

    call: Call
    backend: Backend
    target: str
    dial: Callable[[], Awaitable[upgrade.Opened]]

    async def plain(self) -> Response:
        """Ask the backend and stream its answer."""
        request = self.call.request
        session = aiohttp.ClientSession(
            connector=_Hop(self.dial), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        async with session:
            try:
                answer = await session.request(
                    request.method,
                    URL(f"http://{self.backend.authority}{self.target}", encoded=True),
                    headers=self._headers(),
                    data=request.content if request.body_exists else None,
                    allow_redirects=False,
                )
            except aiohttp.ClientError as error:
                raise _unavailable(f"error trying to reach service: {error}") from error
            async with answer:
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=self._answered(answer.headers)
                )
                await response.prepare(request)
                try:
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                except aiohttp.ClientError:
                    # The head is out: cutting the connection is the only way to say that the body is not whole.
                    if request.transport is not None:
                        request.transport.abort()
                return response

    async def upgrade(self) -> Response:
        """Join the client's connection with the backend's."""
        headers = self._headers()
        headers[hdrs.HOST] = self.backend.authority
        headers[hdrs.CONNECTION] = "Upgrade"
        headers[hdrs.UPGRADE] = self.call.request.headers[hdrs.UPGRADE]
        far = await self.dial()
        try:
            asked = upgrade.Asked(method=self.call.request.method, target=self.target, headers=headers)
            chosen = await far.upgrade(asked)
            kept = {name: text for name, text in chosen.items() if name.lower() != "connection"}
            near = await upgrade.take(self.call.request, kept)
        except upgrade.Refused as error:
            await far.close()
            return web.Response(status=error.status, headers=self._answered(error.headers), body=error.body)
        except OSError as error:
            await far.close()
            raise _unavailable(f"error trying to reach service: {error}") from error
        except BaseException:
            await far.close()
            raise
        await upgrade.join(near, far)
        return near.response

    def _headers(self) -> CIMultiDict[str]:
        """What the backend gets."""
        request = self.call.request
        headers = _end_to_end(request.headers)
        for name in [name for name in headers if name.lower().startswith(_OURS)]:
            headers.popall(name, None)
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Uri"] = request.rel_url.raw_path
        return headers

    def _answered(self, headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
        """What the client gets; a redirect within the backend stays behind the proxy."""
        kept = _end_to_end(headers)
        if place := kept.get(hdrs.LOCATION):
            url = URL(place, encoded=True)
            if place.startswith("/") and not place.startswith("//"):
                kept[hdrs.LOCATION] = self._prefix + place
            elif url.raw_authority == self.backend.authority:
                kept[hdrs.LOCATION] = self._prefix + str(url.relative())
        return kept

    @property
    def _prefix(self) -> str:
        return "/".join(self.call.request.rel_url.raw_path.split("/", _PREFIX_PARTS)[:_PREFIX_PARTS])


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Headers without those that belong to one connection only."""
    named = {word.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for word in value.split(",")}
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in upgrade.HOP_BY_HOP | named
    )
