"""Documents of what is served: discovery, OpenAPI, version; with ETag, some gzipped.

Each is made on first use and kept as bytes until the kinds that it tells of are others.
"""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from miniplane.api import discovery, openapi
from miniplane.api.definitions import Definitions
from miniplane.api.kind import Registry
from miniplane.errors import path_not_found

from .call import Call, Response

JSON = "application/json"
_GZIP_FROM = 16 * 1024
"""Smaller documents are not worth unpacking."""


class Document:
    """A JSON document as bytes, its hash and its gzipped form."""

    def __init__(self, content: Any, content_type: str = JSON) -> None:
        self.body = orjson.dumps(content)
        self.hash = hashlib.sha256(self.body).hexdigest().upper()
        self.content_type = content_type
        self.etag = f'"{self.hash}"'
        self._packed: bytes | None = None

    def answer(self, call: Call, headers: Mapping[str, str] | None = None) -> web.Response:
        """200 with the document, or 304 where the client has it."""
        request = call.request
        head = {"ETag": self.etag, "Vary": "Accept, Accept-Encoding", "Content-Type": self.content_type}
        head |= headers or {"Cache-Control": "public, max-age=0"}
        if self.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=head)
        if len(self.body) >= _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            if self._packed is None:
                self._packed = gzip.compress(self.body, 6, mtime=0)
            return web.Response(body=self._packed, headers={**head, "Content-Encoding": "gzip"})
        return web.Response(body=self.body, headers=head)


class Documents:
    """All of them, by what they depend on."""

    def __init__(
        self, registry: Callable[[], Registry], definitions: Callable[[], Definitions], server_address: str
    ) -> None:
        self._source = registry
        self._of = registry()
        self._definitions = definitions
        self.address = server_address
        self._kept: dict[tuple[str, ...], Document] = {}

    @property
    def _registry(self) -> Registry:
        return self._of

    def _refresh(self) -> None:
        """With other kinds the documents are forgotten, but for schemas of groups that stay as they are."""
        now, before = self._source(), self._of
        if now is not before:
            new, old = now.group_versions(), before.group_versions()
            stay = {key for key, kinds in new.items() if [*map(id, kinds)] == [*map(id, old.get(key, ()))]}
            self._kept = {key: kept for key, kept in self._kept.items() if key[0] == "openapi" and key[1:] in stay}
            self._of = now

    def _keep(self, key: tuple[str, ...], make: Callable[[], Any], content_type: str = JSON) -> Document:
        self._refresh()
        document = self._kept.get(key)
        if document is None:
            document = self._kept[key] = Document(make(), content_type)
        return document

    async def api(self, call: Call) -> Response:
        """`/api`: versions of the core group, or its half of aggregated discovery."""
        if aggregated := self._aggregated(call, core=True):
            return aggregated
        return self._keep(("api",), lambda: discovery.api_versions(self._registry, self.address)).answer(call)

    async def apis(self, call: Call) -> Response:
        """`/apis`: the groups, or their half of aggregated discovery."""
        if aggregated := self._aggregated(call, core=False):
            return aggregated
        return self._keep(("apis",), lambda: discovery.api_groups(self._registry)).answer(call)

    def _aggregated(self, call: Call, *, core: bool) -> web.Response | None:
        version = discovery.aggregated_version(call.request.headers.get("Accept", ""))
        if version is None:
            return None
        media = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        key = ("aggregated", version, str(core))
        return self._keep(key, lambda: discovery.aggregated(self._registry, version, core=core), media).answer(call)

    async def group(self, call: Call) -> Response:
        """`/apis/<group>` and the resource lists `/api/v1`, `/apis/<group>/<version>`.

        Raises:
            NotFound: No such group or version.
        """
        root, *parts = call.path.strip("/").split("/")
        group, version, *more = ("", *parts) if root == "api" else (*parts, "") if len(parts) == 1 else parts
        if more:
            raise path_not_found()
        self._refresh()
        known = self._registry.group_versions()
        if version:
            if (group, version) not in known:
                raise path_not_found()
            make = partial(discovery.resource_list, self._registry, group, version)
            return self._keep(("list", group, version), make).answer(call)
        if not any(name == group for name, _ in known):
            raise path_not_found()
        return self._keep(("group", group), lambda: discovery.api_group(self._registry, group)).answer(call)

    def _openapi(self, group: str, version: str) -> Document:
        return self._keep(
            ("openapi", group, version), lambda: openapi.document(self._registry, group, version, self._definitions())
        )

    async def openapi_index(self, call: Call) -> Response:
        """`/openapi/v3`: the documents with their hashes."""

        def make() -> Any:
            hashes = {key: self._openapi(*key).hash for key in self._registry.group_versions()}
            return openapi.index(self._registry, hashes)

        return self._keep(("openapi",), make).answer(call)

    async def openapi_document(self, call: Call) -> Response:
        """`/openapi/v3/api/v1` and the like; with the right `hash` it may be kept for ever.

        Raises:
            NotFound: No such document.
        """
        parts = call.path.removeprefix("/openapi/v3/").split("/")
        group, version = ("", parts[-1]) if parts[0] == "api" else ("/".join(parts[1:-1]), parts[-1])
        self._refresh()
        if (group, version) not in self._registry.group_versions():
            raise path_not_found()
        document = self._openapi(group, version)
        if call.query.get("hash") == document.hash:
            return document.answer(call, {"Cache-Control": "public, immutable"})
        return document.answer(call)


VERSION = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


def version() -> Callable[[Call], Any]:
    """The handler of `/version`: the Kubernetes version that the API follows."""
    document = Document(VERSION)

    async def handler(call: Call) -> Response:
        return document.answer(call)

    return handler
