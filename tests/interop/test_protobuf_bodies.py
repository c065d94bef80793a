"""What the real kubectl sends as protobuf is what it prints as JSON."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from miniplane.api import definitions, discovery, protobuf
from miniplane.api.schema import Schema
from miniplane.kinds import KINDS, REGISTRY

KUBECTL = shutil.which("kubectl")
SCHEMA = Schema(definitions.load(KINDS))

pytestmark = [pytest.mark.kubectl, pytest.mark.skipif(KUBECTL is None, reason="no kubectl on PATH")]

COMMANDS = [
    "create namespace a",
    "create configmap a --from-literal=x=1 --from-literal=y=two",
    "create secret generic a --from-literal=x=1 --type=example.com/z",
    "create secret docker-registry a --docker-username=u --docker-password=p --docker-server=example.com",
    "create serviceaccount a",
    "create service clusterip a --tcp=80:8080 --tcp=5678",
    "create service clusterip a --clusterip=None",
    "create service nodeport a --tcp=80:http --node-port=30080",
    "create service loadbalancer a --tcp=80",
    "create service externalname a --external-name=example.com",
    "create deployment a --image=nginx --image=redis --replicas=3 --port=80",
    "create deployment a --image=busybox --replicas=0 -- sleep 5",
    "create ingress a --rule=example.com/path*=web:80,tls=cert --rule=/x=api:http --class=c --annotation=k=v",
    "create ingress a --default-backend=web:80",
    "create role a --verb=get,list --resource=pods,pods/log --resource-name=web",
    "create clusterrole a --verb=get --non-resource-url=/metrics,/healthz/*",
    "create clusterrole a --aggregation-rule=a=b,c=d",
    "create rolebinding a --role=r --user=ann --group=dev --serviceaccount=team:bot",
    "create clusterrolebinding a --clusterrole=r --user=ann --serviceaccount=team:bot",
    "create job a --image=busybox -- sleep 5",
    "create cronjob a --image=busybox --schedule=@hourly -- date",
    "create poddisruptionbudget a --selector=app=web --min-available=50%",
    "create poddisruptionbudget a --selector=app=web --max-unavailable=1",
    "create priorityclass a --value=1000 --description=high --preemption-policy=Never",
    "create priorityclass a --value=-1 --global-default=true",
    "create quota a --hard=cpu=1,memory=1G,pods=2 --scopes=BestEffort",
]


class _Server(ThreadingHTTPServer):
    """Enough of an API server for kubectl to send a body to; keeps the last one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content_type = ""
        self.body = b""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Silence."""

    def _answer(self, code: int, document: Any, media: str = "application/json") -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/version":
            self._answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
        elif path in ("/api", "/apis"):
            media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            self._answer(200, discovery.aggregated(REGISTRY, "v2", core=path == "/api"), media)
        else:
            self._answer(404, {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404})

    def do_POST(self) -> None:
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.content_type = self.headers["Content-Type"]
        answer = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        if self.server.content_type == protobuf.MEDIA_TYPE:
            answer = protobuf.decode(self.server.body, SCHEMA)
        self._answer(201, answer)


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server on a free port."""
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _kubectl(folder: Path, port: int, arguments: list[str]) -> str:
    assert KUBECTL is not None
    words, command = arguments, []
    if "--" in words:
        split = words.index("--")
        words, command = words[:split], words[split:]
    done = subprocess.run(
        [KUBECTL, "--server", f"http://127.0.0.1:{port}", *words, "-o", "json", *command],
        env={"HOME": str(folder), "KUBECONFIG": os.devnull, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        timeout=30,
        text=True,
    )
    return done.stdout


def _plain(value: Any) -> Any:
    """Without the empty structs that Go's JSON writes of what is no pointer."""
    if isinstance(value, dict):
        children = {key: _plain(child) for key, child in value.items()}
        noise = ("metadata", "spec", "status", "strategy", "resources", "loadBalancer")
        return {key: child for key, child in children.items() if not (key in noise and child == {})}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("command", COMMANDS)
def test_the_body_is_its_json_twin(server: _Server, tmp_path: Path, command: str) -> None:
    """The decoded protobuf body equals what the same command prints with `--dry-run=client -o json`."""
    words = command.split(" ")
    twin = json.loads(_kubectl(tmp_path, server.server_port, [*words[:2], "--dry-run=client", *words[2:]]))
    _kubectl(tmp_path, server.server_port, words)
    if server.content_type != protobuf.MEDIA_TYPE:
        pytest.skip("this kubectl sends JSON")
    decoded = protobuf.decode(server.body, SCHEMA)
    kind = REGISTRY.by_kind(decoded["apiVersion"], decoded["kind"])
    assert kind is not None
    for obj in (twin, decoded):
        assert SCHEMA.read(obj, kind) == []
        obj["metadata"].setdefault("namespace", "default")
    assert decoded == _plain(twin)
