"""Streams between clients and kubelets: logs, exec, attach, port-forward, and plain requests to a node.

WebSocket messages are passed on as they are, so every subprotocol works that client and kubelet agree on; SPDY's bytes
likewise. The kubelet is reached at the address that its Node's annotation tells, over mutual TLS.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import aiohttp
import orjson
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from miniplane import upgrade
from miniplane.api.kind import Kind, Object
from miniplane.api.validation import forbidden as forbidden_field
from miniplane.api.validation import invalid as invalid_field
from miniplane.api.wellknown import KUBELET_ADDRESS, REFUSAL
from miniplane.errors import ApiError, Reason, Resource, bad_request, invalid, method_not_allowed, not_found

from ..registry.reading import Reader
from ..store.base import ResourceKey
from .call import Call, Response
from .middleware.errors import internal_error
from .routes import Route

PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "SPDY/3.1+portforward.k8s.io",
)
_WITH_STATUS = PROTOCOLS[:2]
"""Protocols with a channel for a Status."""
_ERROR_CHANNEL = 3
_LOG_OPTIONS = Resource("podlogoptions", "", "PodLogOptions")
_LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}
"""The least value of a log's options."""
_SPDY = "SPDY/3.1"
_SPDY_PROTOCOL = "X-Stream-Protocol-Version"
_CONNECT_TIMEOUT_S = 5.0
_STREAMS = frozenset(("exec", "attach", "portforward"))
_SUBRESOURCES = {"pods": _STREAMS | {"log"}, "nodes": frozenset(("proxy",))}
_NODES = Resource("nodes", "", "Node")
_MESSAGE_LIMIT = 16 * 1024 * 1024
_PASSED_ON = ("Content-Type",)


class NodeProxy:
    """Passes requests on to kubelets. One client session, opened on first use."""

    def __init__(self, reader: Reader, context: ssl.SSLContext | None) -> None:
        self._reader = reader
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    @staticmethod
    def serves(kind: Kind, subresource: str) -> bool:
        """Whether a subresource is the kubelet's to answer."""
        return not kind.group and subresource in _SUBRESOURCES.get(kind.plural, ())

    async def serve(self, call: Call, route: Route, obj: Object) -> Response:
        """Answer with what the kubelet answers.

        Raises:
            ApiError: BadRequest (no such container, not scheduled), NotFound, InternalError (kubelet not reachable).
        """
        if route.resource == "nodes":
            if call.method != "GET":
                raise method_not_allowed(_NODES, call.method)
            return await self._plain(call, self._url(obj, f"/{route.rest}"), call.query_string)
        node_name = (obj.get("spec") or {}).get("nodeName")
        if not node_name:
            raise bad_request(f"pod {route.name} does not have a host assigned")
        entry = self._reader.store.get(ResourceKey("/nodes", "", node_name))
        if entry is None:
            raise not_found(_NODES, node_name)
        place = f"{route.namespace}/{route.name}"
        if route.subresource == "log":
            container = _container(call.query, obj)
            _check_log_options(call, route.name)
            return await self._plain(
                call, self._url(entry.obj, f"/containerLogs/{place}/{container}"), _log_query(call)
            )
        if route.subresource == "portforward":
            url = self._url(entry.obj, f"/portForward/{place}")
        else:
            url = self._url(entry.obj, f"/{route.subresource}/{place}/{_container(call.query, obj)}")
        return await self._stream(call, f"{url}?{call.query_string}")

    def _url(self, node: Object, path: str) -> str:
        address = (node["metadata"].get("annotations") or {}).get(KUBELET_ADDRESS)
        if not address:
            raise internal_error(f"the kubelet of node {node['metadata']['name']} has told no address")
        return f"{'https' if self._context else 'http'}://{address}{path}"

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context or False, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    async def _plain(self, call: Call, url: str, query: str) -> Response:
        """A GET whose answer is passed on piece by piece, so that `log --follow` follows."""
        try:
            answer = await self._client().get(f"{url}?{query}" if query else url)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error
        async with answer:
            if answer.status >= 400:  # noqa: PLR2004  an error of the kubelet
                raise _refused(answer.status, await answer.text())
            headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(call.request)
            try:
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            except (ConnectionError, aiohttp.ClientError):
                return response  # one of the two has left: the other learns it by the end of the stream
            return response

    async def _stream(self, call: Call, url: str) -> Response:
        headers = call.request.headers
        wanted = headers.get("Upgrade", "").lower()
        if wanted == _SPDY.lower():
            return await self._spdy(call, url)
        if wanted != "websocket":
            raise bad_request("Upgrade request required")
        offered = [item.strip() for item in headers.get("Sec-WebSocket-Protocol", "").split(",") if item.strip()]
        chosen = next((item for item in offered if item in PROTOCOLS), None)
        if offered and chosen is None:
            raise bad_request(f"unable to upgrade: none of the protocols {offered} is supported")
        try:
            backend = await self._client().ws_connect(
                url, protocols=(chosen,) if chosen else (), max_msg_size=_MESSAGE_LIMIT, compress=0
            )
        except aiohttp.WSServerHandshakeError as error:
            why = unquote(error.headers.get(REFUSAL, "") if error.headers else "") or error.message
            refusal = _refused(error.status, why)
            if chosen not in _WITH_STATUS or call.route is None or call.route.subresource == "portforward":
                raise refusal from error
            return await _tell(call, chosen, refusal)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error
        async with backend:
            client = web.WebSocketResponse(
                protocols=(chosen,) if chosen else (), max_msg_size=_MESSAGE_LIMIT, compress=False
            )
            await client.prepare(call.request)
            await _bridge(client, backend)
            return client

    async def _spdy(self, call: Call, url: str) -> Response:
        """SPDY on the connection itself, as older clients speak it: both connections become one."""
        place = URL(url, encoded=True)
        headers = CIMultiDict({"Host": place.authority, "Connection": "Upgrade", "Upgrade": _SPDY})
        headers.extend((_SPDY_PROTOCOL, word) for word in call.request.headers.getall(_SPDY_PROTOCOL, ()))
        asked = upgrade.Asked(method="POST", target=place.raw_path_qs, headers=headers)
        try:
            kubelet = await upgrade.connect(
                place.raw_host or "", place.port or 0, asked, tls=self._context, timeout_s=_CONNECT_TIMEOUT_S
            )
        except upgrade.Refused as error:
            raise _refused(error.status, error.body.decode("utf-8", "replace")) from error
        except OSError as error:
            raise _unreachable(error) from error
        chosen = {name: kubelet.headers[name] for name in ("Upgrade", _SPDY_PROTOCOL) if name in kubelet.headers}
        try:
            client = await upgrade.take(call.request, chosen)
        except BaseException:
            await kubelet.close()
            raise
        await upgrade.join(client, kubelet)
        return client.response


async def _tell(call: Call, protocol: str, refusal: ApiError) -> web.WebSocketResponse:
    """Tell a refusal on the stream itself, as upstream: a client whose WebSocket is refused would try SPDY instead."""
    client = web.WebSocketResponse(protocols=(protocol,), compress=False)
    await client.prepare(call.request)
    await client.send_bytes(bytes([_ERROR_CHANNEL]) + orjson.dumps(refusal.to_status()))
    await client.close()
    return client


async def _bridge(client: web.WebSocketResponse, backend: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side ends, then end the other."""
    to_backend = asyncio.create_task(_pump(client, backend))
    to_client = asyncio.create_task(_pump(backend, client))
    try:
        await asyncio.wait((to_backend, to_client), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (to_backend, to_client):
            task.cancel()
        await asyncio.gather(to_backend, to_client, return_exceptions=True)
        await backend.close()
        await client.close(code=backend.close_code or aiohttp.WSCloseCode.OK)


async def _pump(source: Any, sink: Any) -> None:
    try:
        async for message in source:
            if message.type is aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
    except ConnectionError:
        return  # the sink has left; the bridge ends with this task


def _container(query: Mapping[str, str], pod: Object) -> str:
    """The container that is meant: the one named, or the only one."""
    spec = pod.get("spec") or {}
    kinds = ("containers", "initContainers", "ephemeralContainers")
    names = [item["name"] for kind in kinds for item in spec.get(kind) or ()]
    wanted = query.get("container", "")
    pod_name = pod["metadata"]["name"]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {pod_name}")
        return wanted
    first = [item["name"] for item in spec.get("containers") or ()]
    if len(first) != 1:
        choices = ", ".join(first)
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{choices}]")
    return str(first[0])


def _check_log_options(call: Call, pod: str) -> None:
    """Upstream's rules for the options of a log. Raises Invalid, or BadRequest for what is no number."""
    causes = [
        invalid_field(name, value, f"must be greater than {'or equal to ' if least == 0 else ''}0").to_cause()
        for name, least in _LEAST.items()
        if call.query.get(name) and (value := call.number(name)) < least
    ]
    if call.query.get("sinceSeconds") and call.query.get("sinceTime"):
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(forbidden_field("", text).to_cause())
    if causes:
        raise invalid(_LOG_OPTIONS, pod, causes)


def _log_query(call: Call) -> str:
    return "&".join(part for part in call.query_string.split("&") if not part.startswith(("container=", "timeout=")))


def _unreachable(error: Exception) -> ApiError:
    return internal_error(f"the kubelet can't be reached: {str(error) or type(error).__name__}")


def _refused(status: int, text: str) -> ApiError:
    reasons = {400: Reason.BAD_REQUEST, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND}
    return ApiError(text.strip(), reason=reasons.get(status, Reason.INTERNAL_ERROR), code=status)
