"""Audit events: who asked for what, as much of it as the policy says, in upstream's form."""

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import RawTestServer

from apiserver.app import compose
from apiserver.auditlog import AuditLog, open_log
from apiserver.auth.audit import LEVEL_NAMES, parse
from apiserver.auth.identity import Action, User
from apiserver.settings import Settings
from apiserver.store import open_store
from miniplane.aio import SystemClock
from miniplane.kinds import REGISTRY
from tests.contract.api.conftest import Api, NewClusters, config_map

MAPS = "/api/v1/namespaces/default/configmaps"
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [bob]
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
- level: RequestResponse
  verbs: [create]
  resources: [{group: "", resources: [configmaps]}]
- level: Request
  verbs: [update, patch]
- level: Metadata
"""


class Audited:
    """A server and its log."""

    def __init__(self, api: Api, path: Path, log: AuditLog) -> None:
        self.api, self._path, self._log = api, path, log

    def events(self) -> list[Any]:
        """Close the log and read it."""
        self._log.close()
        return [orjson.loads(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
async def audited(settings: Settings, tmp_path: Path, new_clusters: NewClusters) -> AsyncIterator[Audited]:
    """A running server that keeps a log by the policy above."""
    policy, path = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(POLICY)
    settings = replace(settings, audit_policy_file=str(policy))
    async with open_store("memory://") as store:
        with open_log(str(path)) as log:
            assert log is not None
            await new_clusters.fill(store, settings)
            app = compose(settings, store, REGISTRY, SystemClock(), audit_log=log)
            async with RawTestServer(app.handler, access_log=None) as server, ClientSession() as session:
                api = Api(session, str(server.make_url("")).rstrip("/"), store, app)
                yield Audited(api, path, log)
                app.watches.close()
            await app.proxy.close()


async def test_events_say_what_the_policy_asks_for(audited: Audited) -> None:
    """The first rule that matches decides how much; users, objects, bodies, answers and refusals are there."""
    api = audited.api
    await api.make(MAPS, config_map("a"))
    await api("PATCH", f"{MAPS}/a", {"data": {"k": "w"}}, media="application/merge-patch+json")
    secrets = "/api/v1/namespaces/default/secrets"
    await api.make(secrets, {"metadata": {"name": "s"}, "stringData": {"password": "hush"}})
    await api("GET", f"{MAPS}/none")
    await api("GET", MAPS, user="ann")
    await api("GET", "/version", token="wrong")
    made, patched, secret, missing, refused, nobody = audited.events()
    assert made["level"] == "RequestResponse"
    assert made["stage"] == "ResponseComplete"
    assert (made["verb"], made["requestURI"]) == ("create", MAPS)
    assert made["user"] == {"username": "system:local", "groups": ["system:authenticated", "system:masters"]}
    assert made["objectRef"] == {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert made["requestObject"]["data"] == made["responseObject"]["data"] == {"k": "v"}
    assert made["responseStatus"]["code"] == 201
    assert made["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert made["sourceIPs"] == ["127.0.0.1"]
    assert made["requestReceivedTimestamp"] <= made["stageTimestamp"]
    assert patched["requestObject"] == {"data": {"k": "w"}}
    assert "responseObject" not in patched
    assert secret["level"] == "Metadata"
    assert "hush" not in str(secret)
    assert missing["responseStatus"]["reason"] == "NotFound"
    assert missing["objectRef"]["name"] == "none"
    assert refused["impersonatedUser"]["username"] == "ann"
    assert refused["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert nobody["responseStatus"]["code"] == 401
    assert nobody["user"] == {}


@pytest.mark.parametrize(
    ("rule", "user", "action", "level"),
    [
        ({"users": ["ann"]}, "ann", Action("get", path="/x"), "Metadata"),
        ({"users": ["ann"]}, "bob", Action("get", path="/x"), "None"),
        ({"userGroups": ["dev"]}, "ann", Action("get", path="/x"), "Metadata"),
        ({"verbs": ["list"]}, "ann", Action("get", "", "pods"), "None"),
        ({"namespaces": ["a"]}, "ann", Action("get", "", "pods", namespace="a"), "Metadata"),
        ({"namespaces": ["a"]}, "ann", Action("get", path="/x"), "None"),
        ({"nonResourceURLs": ["/healthz*"]}, "ann", Action("get", path="/healthz/ping"), "Metadata"),
        ({"nonResourceURLs": ["*"]}, "ann", Action("get", "", "pods"), "None"),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "ann", Action("get", "", "pods", "log"), "None"),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "ann", Action("get", "", "pods", "log"), "Metadata"),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "ann", Action("get", "", "pods", "log"), "Metadata"),
        ({"resources": [{"group": "apps"}]}, "ann", Action("get", "apps", "deployments"), "Metadata"),
        ({"resources": [{"group": "apps"}]}, "ann", Action("get", "", "pods"), "None"),
        (
            {"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["a"]}]},
            "ann",
            Action("get", "", "pods", name="b"),
            "None",
        ),
    ],
)
def test_which_rule_matches(rule: Any, user: str, action: Action, level: str) -> None:
    """A rule is about a request if every list that it has is."""
    document = {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": [{"level": "Metadata", **rule}]}
    verdict = parse(document, "policy").judge(User(user, frozenset({"dev"})), action)
    assert LEVEL_NAMES[verdict.level] == level


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"kind": "Policy", "apiVersion": "audit.k8s.io/v1"},
        {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": [{"level": "All"}]},
        {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": [{"level": "None", "usres": []}]},
        {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "omitStages": ["End"], "rules": [{"level": "None"}]},
    ],
)
def test_a_wrong_policy_is_refused(document: Any) -> None:
    """A policy with a mistake stops the server rather than writing down less than was wanted."""
    with pytest.raises(ValueError, match="policy"):
        parse(document, "policy")


class Stuck:
    """A file on a disk that does not answer until it is let go."""

    def __init__(self) -> None:
        self.go, self.lines = threading.Event(), list[bytes]()

    def write(self, line: bytes) -> int:
        """Wait, then take it."""
        self.go.wait(5)
        self.lines.append(line)
        return len(line)

    def flush(self) -> None:
        """Nothing to do."""


def test_a_slow_disk_costs_events_and_not_requests() -> None:
    """Above its bound the queue drops and counts; what was taken is written at the end."""
    disk: Any = Stuck()
    log = AuditLog(disk, size=5)
    for number in range(20):
        log.write(b"%d" % number)
    assert log.dropped >= 14
    disk.go.set()
    log.close()
    assert len(disk.lines) == 20 - log.dropped
