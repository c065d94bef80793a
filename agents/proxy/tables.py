"""The rules in force on this node for people: `kubectl get --raw /api/v1/nodes/NODE/proxy/tables`.

`?service=NAMESPACE/NAME` and `?policy=NAME` show what one object makes, `?output=explain` says it in words.
"""

from collections.abc import Mapping

from miniplane.api import meta
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.ruleset import Ruleset
from miniplane.dataplane.tables import shown
from miniplane.kinds import (
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    CLUSTER_NETWORK_POLICY,
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SERVICE,
)
from miniplane.runtime.informer import Informers

_KINDS = (
    NODE,
    POD,
    SERVICE,
    ENDPOINT_SLICE,
    NETWORK_POLICY,
    NAMESPACE,
    CLUSTER_NETWORK_POLICY,
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
)
_WORDS = {"service": "service", "policy": "policy", "output": "form", "namespace": "namespace"}


def answer(query: Mapping[str, str], ruleset: Ruleset, informers: Informers, network: Network) -> str:
    """The text. Raises LookupError for what is not there, and ValueError for a question that makes no sense."""
    if unknown := sorted(query.keys() - _WORDS.keys()):
        raise ValueError(f"unknown parameter {unknown[0]!r}: {', '.join(_WORDS)}")
    objects = {kind.kind: {meta.key_of(obj): obj for obj in informers.get(kind).cache.list()} for kind in _KINDS}
    words = {_WORDS[name]: value for name, value in query.items()}
    return shown(ruleset, Cluster(objects, network), **words)
