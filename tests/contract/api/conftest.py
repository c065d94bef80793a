"""An API server on an empty memory store, and a small client that says exactly what it sends."""

import functools
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import RawTestServer

from apiserver import app as composing
from apiserver.app import App, compose
from apiserver.registry.bootstrap import bootstrap
from apiserver.settings import Settings
from apiserver.store import Draft, Entry, Limits, Put, Store, open_store
from miniplane.aio import SystemClock
from miniplane.api import definitions
from miniplane.config import Network
from miniplane.kinds import REGISTRY

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_WHOLE_BYTES = 1024 * 1024
"""Larger bodies are sent as a stream, which is what the client library wants."""
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True)
class Answer:
    """A reply: status, parsed body, headers."""

    status: int
    obj: Any
    text: str
    headers: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The reason of a Status."""
        return str(self.obj.get("reason"))

    @property
    def message(self) -> str:
        """The message of a Status."""
        return str(self.obj.get("message"))

    @property
    def fields(self) -> list[str]:
        """The fields of a Status' causes."""
        return [cause.get("field", "") for cause in self.obj.get("details", {}).get("causes", [])]


class Api:
    """Sends requests."""

    def __init__(self, session: ClientSession, url: str, store: Store, app: App) -> None:
        self.session = session
        self.url = url
        self.store = store
        self.app = app

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "",
        accept: str = "",
        user: str = "",
        token: str = "",
        **query: Any,
    ) -> Answer:
        """One request; a body that is no bytes is sent as JSON. `user` is impersonated; a `token` says who asks."""
        data: Any = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        if data and len(data) > _WHOLE_BYTES:
            data = io.BytesIO(data)
        headers = {"Content-Type": media or "application/json"} if data is not None else {}
        if user:
            headers["Impersonate-User"] = user
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if accept:
            headers["Accept"] = accept
        params = {name: str(value) for name, value in query.items()}
        async with self.session.request(method, self.url + path, data=data, headers=headers, params=params) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "") and text
            lines = text.splitlines()
            obj = orjson.loads(text) if is_json and len(lines) <= 1 else text
            return Answer(response.status, obj, text, response.headers, response.headers.getall("Warning", []))

    async def make(self, path: str, body: Any) -> Any:
        """Create an object that must be good; returns it."""
        answer = await self("POST", path, body)
        assert answer.status == 201, answer.text
        return answer.obj

    async def first_events(self, count: int, path: str, **query: Any) -> list[Any]:
        """The first events of a watch, which the client then ends; fewer where no more come within a second."""
        async with await self.stream(path, **{"timeoutSeconds": 1, **query}) as response:
            lines = [await response.content.readline() for _ in range(count)]
        return [orjson.loads(line) for line in lines if line]

    async def watch(self, path: str, **query: Any) -> list[Any]:
        """All events of a watch that ends by itself (after a second at most)."""
        answer = await self("GET", path, watch="true", **{"timeoutSeconds": 1, **query})
        assert answer.status == 200, answer.text
        return [orjson.loads(line) for line in answer.text.splitlines()]

    async def stream(self, path: str, **query: Any) -> ClientResponse:
        """An open watch; the caller closes it."""
        params = {"watch": "true", **{name: str(value) for name, value in query.items()}}
        return await self.session.get(self.url + path, params=params)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pruned definitions are kept for all tests of the session."""
    return tmp_path_factory.mktemp("apiserver")


@pytest.fixture
def settings(cache_dir: Path) -> Settings:
    """The server's settings; a test may replace the fixture."""
    return Settings(data_dir=cache_dir, network=Network())


@pytest.fixture(scope="package", autouse=True)
def definitions_once() -> Iterator[None]:
    """Read the definitions, which nobody changes, once and not for each server."""
    once = SimpleNamespace(load=functools.cache(definitions.load))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composing, "definitions", once)
        yield


class NewClusters:
    """Fills stores with what a new cluster has: bootstrapped once for each network, then copied."""

    def __init__(self) -> None:
        self._made: dict[Network, list[Entry]] = {}

    async def fill(self, store: Store, settings: Settings) -> None:
        """As the first start of a server does."""
        if settings.network not in self._made:
            self._made[settings.network] = await self._make(settings)
        copies = [(entry.key, orjson.loads(entry.value)) for entry in self._made[settings.network]]
        await store.commit([Put(key, Draft(obj), 0) for key, obj in copies])

    @staticmethod
    async def _make(settings: Settings) -> list[Entry]:
        async with open_store("memory://") as store:
            app = compose(settings, store, REGISTRY, SystemClock())
            await bootstrap(app.pipeline, REGISTRY, settings.network, 6443)
            app.watches.close()
            await app.proxy.close()
            resources = dict.fromkeys(f"{kind.group}/{kind.plural}" for kind in REGISTRY)
            return [entry for resource in resources for entry in store.list(resource).entries]


@pytest.fixture(scope="session")
def new_clusters() -> NewClusters:
    """See there."""
    return NewClusters()


@pytest.fixture
async def api(settings: Settings, new_clusters: NewClusters) -> AsyncIterator[Api]:
    """A running server with what a new cluster has."""
    async with open_store("memory://", limits=Limits(window_events=512)) as store:
        await new_clusters.fill(store, settings)
        app = compose(settings, store, REGISTRY, SystemClock())
        async with RawTestServer(app.handler, access_log=None) as server, ClientSession() as session:
            yield Api(session, str(server.make_url("")).rstrip("/"), store, app)
            app.watches.close()
        await app.proxy.close()
        await app.webhooks.close()


def pod(name: str = "web", **metadata: Any) -> dict[str, Any]:
    """A pod that is good."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
    }


def config_map(name: str = "a", **metadata: Any) -> dict[str, Any]:
    """A config map that is good."""
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **metadata}, "data": {"k": "v"}}


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Service that is good."""
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}], **spec},
    }


def deployment(name: str = "web", replicas: int = 1) -> dict[str, Any]:
    """A Deployment that is good."""
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }
