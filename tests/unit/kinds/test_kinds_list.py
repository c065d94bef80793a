"""The list of kinds is complete, consistent and usable by everything that iterates it."""

import importlib
import pkgutil
from datetime import UTC, datetime

import pytest

import miniplane.kinds
from miniplane.api.definitions import Definitions, load
from miniplane.api.kind import Kind, Scope
from miniplane.api.names import RULES
from miniplane.api.table import cells
from miniplane.kinds import KINDS, REGISTRY, REVIEWS

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module", name="definitions")
def _definitions() -> Definitions:
    return load(KINDS)


def test_every_kind_in_a_file_is_listed() -> None:
    """Each Kind that a module below `miniplane.kinds` defines stands in a list, and under its name in the package."""
    found = set()
    for info in pkgutil.walk_packages(miniplane.kinds.__path__, "miniplane.kinds."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, Kind):
                found.add(value)
                assert getattr(miniplane.kinds, name) is value
    assert found == {*KINDS, *REVIEWS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_has_upstreams_schema(kind: Kind, definitions: Definitions) -> None:
    """A kind's definition is the one that upstream gives for its group, version and kind."""
    assert kind.definition == definitions.by_gvk(kind.group, kind.version, kind.kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_status_is_offered_where_the_schema_has_one(kind: Kind, definitions: Definitions) -> None:
    """A kind has a status subresource exactly if its schema has a status."""
    has_status = "status" in definitions.schemas[kind.definition]["properties"]
    assert (kind.subresource("status") is not None) is has_status


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_columns_of_an_empty_object(kind: Kind) -> None:
    """A row can be rendered of an object that has nothing, one cell for each column."""
    assert len(cells(kind, {}, NOW)) == len(kind.columns)
    assert kind.columns[0].name in ("Name", "Last Seen")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_name_rules_are_known(kind: Kind) -> None:
    """The rule that a kind names for its objects' names is there."""
    assert kind.strategy.name_is in RULES


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("po", "Pod"),
        ("svc", "Service"),
        ("ep", "Endpoints"),
        ("deploy", "Deployment"),
        ("deployments.apps", "Deployment"),
        ("rs", "ReplicaSet"),
        ("ns", "Namespace"),
        ("no", "Node"),
        ("netpol", "NetworkPolicy"),
        ("ing", "Ingress"),
        ("cm", "ConfigMap"),
        ("sa", "ServiceAccount"),
        ("ev", "Event"),
        ("ip", "IPAddress"),
        ("servicecidr", "ServiceCIDR"),
        ("endpointslices.discovery.k8s.io", "EndpointSlice"),
    ],
)
def test_words_that_people_type(word: str, kind: str) -> None:
    """Short names, singulars and qualified plurals find their kind."""
    found = REGISTRY.find(word)
    assert found is not None
    assert found.kind == kind


def test_all_is_what_kubectl_means_by_it() -> None:
    """`kubectl get all` covers the workloads and Services, all of them in a namespace."""
    members = [kind for kind in KINDS if "all" in kind.categories]
    workloads = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"}
    assert {kind.kind for kind in members} == workloads | {"Pod", "Service", "HorizontalPodAutoscaler"}
    assert all(kind.scope is Scope.NAMESPACED for kind in members)


def test_subresources_of_pods() -> None:
    """Pods offer what kubectl looks for, with the kinds of the bodies."""
    pod = REGISTRY.find("pods")
    assert pod is not None
    assert {sub.name: sub.group_version_kind for sub in pod.subresources} == {
        "status": None,
        "log": None,
        "exec": ("", "v1", "PodExecOptions"),
        "attach": ("", "v1", "PodAttachOptions"),
        "portforward": ("", "v1", "PodPortForwardOptions"),
        "proxy": ("", "v1", "PodProxyOptions"),
        "ephemeralcontainers": None,
        "binding": ("", "v1", "Binding"),
        "eviction": ("policy", "v1", "Eviction"),
    }
