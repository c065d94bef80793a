"""Audit events in upstream's form: who asked for what, when, and how it ended.

Upstream: audit.k8s.io/v1 `Event`; k8s.io/apiserver, pkg/endpoints/filters/audit.go. Stages are RequestReceived and
ResponseComplete; a watch or stream is complete at its end, and there is no event for its start.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import orjson
from aiohttp import web

from miniplane.aio import Clock
from miniplane.api.kind import Object
from miniplane.api.meta import micro_timestamp
from miniplane.errors import ApiError, Reason

from ...auth.audit import LEVEL_NAMES, Level, Policy, Verdict
from ...auth.identity import Action, User
from ...registry.request import Body
from ..answer import Answer
from ..call import Call, Handler, Middleware, Response
from ..routes import action

_AGENT_LENGTH = 1024
Read = Callable[[Body], Any]
"""Decodes a body."""


class Sink(Protocol):
    """Takes the lines."""

    def write(self, line: bytes) -> None:
        """Take one; never waits."""


class Auditor:
    """Makes the events. `outside` stands before authentication, `inside` behind it."""

    def __init__(self, policy: Policy, sink: Sink, clock: Clock, read: Read) -> None:
        self._policy = policy
        self._sink = sink
        self._clock = clock
        self._read = read

    def outside(self) -> Middleware:
        """The middleware that writes down who was not let in at all."""

        async def middleware(call: Call, handler: Handler) -> Response:
            received = self._clock.now()
            try:
                return await handler(call)
            except ApiError as error:
                if error.reason is Reason.UNAUTHORIZED and not call.is_identified:
                    asked = action(call.route, call.method, call.path, call.query)
                    verdict = self._policy.judge(call.user, asked)
                    if verdict.level:
                        event = self._event(call, asked, User(""), verdict, received)
                        self._end(event, call, verdict, error.to_status())
                raise

        return middleware

    def inside(self) -> Middleware:
        """The middleware for everybody else."""

        async def middleware(call: Call, handler: Handler) -> Response:
            call.is_identified = True
            asked = action(call.route, call.method, call.path, call.query)
            verdict = self._policy.judge(call.user, asked)
            if not verdict.level:
                return await handler(call)
            user = call.user
            event = self._event(call, asked, user, verdict, self._clock.now())
            self._write(event, "RequestReceived", verdict)
            try:
                response = await handler(call)
            except ApiError as error:
                self._end(event, call, verdict, error.to_status())
                raise
            except (ConnectionError, asyncio.CancelledError):
                self._end(event, call, verdict, {"metadata": {}, "code": 200})  # the client left in the middle
                raise
            except Exception:
                self._end(event, call, verdict, {"metadata": {}, "code": 500})
                raise
            self._end(event, call, verdict, {"metadata": {}, "code": response.status}, response)
            return response

        return middleware

    def _event(self, call: Call, asked: Action, user: User, verdict: Verdict, received: datetime) -> Object:
        request = call.request
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": LEVEL_NAMES[verdict.level],
            "auditID": call.id if _is_uuid(call.id) else str(uuid.uuid4()),
            "stage": "",
            "requestURI": call.path + (f"?{call.query_string}" if call.query_string else ""),
            "verb": asked.verb,
            "user": user.info if user.name else {},
        }
        if request.remote:
            event["sourceIPs"] = [request.remote]
        if agent := request.headers.get("User-Agent", ""):
            event["userAgent"] = agent[:_AGENT_LENGTH]
        if call.route is not None:
            event["objectRef"] = _reference(call, asked)
        event["requestReceivedTimestamp"] = micro_timestamp(received)
        return event

    def _end(
        self, event: Object, call: Call, verdict: Verdict, status: Object, response: Response | None = None
    ) -> None:
        if call.impersonator is not None:
            event["impersonatedUser"] = call.user.info
        if call.sent and verdict.level >= Level.REQUEST:
            with contextlib.suppress(ApiError):
                content_type = call.request.headers.get("Content-Type", "")
                event["requestObject"] = _trimmed(self._read(Body(call.sent, content_type)), verdict)
        status.pop("kind", None)
        status.pop("apiVersion", None)
        event["responseStatus"] = status
        if response is not None and verdict.level >= Level.REQUEST_RESPONSE:
            with contextlib.suppress(orjson.JSONDecodeError):
                event["responseObject"] = _trimmed(orjson.loads(_content(response)), verdict)
        decision = "forbid" if call.is_identified and not call.is_allowed else "allow"
        if call.is_identified:
            event["annotations"] = {"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": ""}
        self._write(event, "ResponseComplete", verdict)

    def _write(self, event: Object, stage: str, verdict: Verdict) -> None:
        if stage not in verdict.omit_stages:
            moment = micro_timestamp(self._clock.now())
            self._sink.write(orjson.dumps({**event, "stage": stage, "stageTimestamp": moment}, default=str))


def _reference(call: Call, asked: Action) -> Object:
    route = call.route
    reference = {
        "resource": asked.resource,
        "namespace": asked.namespace,
        "name": asked.name,
        "apiGroup": asked.group,
        "apiVersion": route.version if route else "",
        "subresource": asked.subresource,
    }
    return {key: value for key, value in reference.items() if value}


def _content(response: Response) -> bytes:
    if isinstance(response, Answer):
        return response.content
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""


def _trimmed(obj: Any, verdict: Verdict) -> Any:
    """An object without its managed fields, where the policy wants that; those of a list's items too."""
    if verdict.omit_managed_fields and isinstance(obj, dict):
        for item in (obj, *(obj.get("items") or ())):
            if isinstance(item, dict) and isinstance(item.get("metadata"), dict):
                item["metadata"].pop("managedFields", None)
    return obj


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
