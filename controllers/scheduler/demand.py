"""What a pod asks of a node, worked out once per pod: amounts, host ports, affinities, priority.

Upstream: pkg/scheduler/framework (PodInfo) and k8s.io/component-helpers/resource.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity
from miniplane.kinds.podspec.demand import asked

Amounts = Mapping[str, int]
"""By resource name: `cpu` in thousandths, anything else in whole units."""
HostPort = tuple[str, str, int]
"""Host address, protocol, port."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104  upstream's wildcard of host ports


def amounts(texts: Mapping[str, str | float] | None) -> dict[str, int]:
    """A map of quantities, rounded up."""
    return {
        name: Quantity.parse(text).milli if name == "cpu" else Quantity.parse(text).value
        for name, text in (texts or {}).items()
    }


def requests_of(pod: Object) -> dict[str, int]:
    """What a pod asks for in all."""
    return {
        name: amount.milli if name == "cpu" else amount.value for name, amount in asked(pod["spec"], "requests").items()
    }


def host_ports_of(pod: Object) -> frozenset[HostPort]:
    """The host ports that a pod takes."""
    spec = pod["spec"]
    sidecars = (item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always")
    ports = (port for item in (*spec.get("containers", ()), *sidecars) for port in item.get("ports") or ())
    return frozenset(
        (port.get("hostIP") or ANY_ADDRESS, port.get("protocol") or "TCP", port["hostPort"])
        for port in ports
        if port.get("hostPort")
    )


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A pod as the scheduler sees it."""

    pod: Object
    uid: str
    namespace: str
    labels: Mapping[str, str]
    owner: str
    """The uid of its controller, or nothing."""
    priority: int
    requests: Amounts
    ports: frozenset[HostPort]

    @classmethod
    def of(cls, pod: Object) -> "Demand":
        """Work it out."""
        return cls(
            pod=pod,
            uid=meta.uid(pod),
            namespace=meta.namespace(pod),
            labels=meta.labels(pod),
            owner=(meta.controller_of(pod) or {}).get("uid", ""),
            priority=pod["spec"].get("priority") or 0,
            requests=requests_of(pod),
            ports=host_ports_of(pod),
        )

    def affinity(self, kind: str) -> Object:
        """`nodeAffinity`, `podAffinity` or `podAntiAffinity`; empty where there is none."""
        return (self.pod["spec"].get("affinity") or {}).get(kind) or {}

    def required(self, kind: str) -> Sequence[Object]:
        """The terms of a pod affinity that must hold."""
        return self.affinity(kind).get("requiredDuringSchedulingIgnoredDuringExecution") or ()

    def preferred(self, kind: str) -> Sequence[Object]:
        """The terms of an affinity that should hold, with their weights."""
        return self.affinity(kind).get("preferredDuringSchedulingIgnoredDuringExecution") or ()

    def spread(self, when: str) -> Iterable[Object]:
        """The topology spread constraints that say `DoNotSchedule` or `ScheduleAnyway`."""
        constraints = self.pod["spec"].get("topologySpreadConstraints") or ()
        return [item for item in constraints if item.get("whenUnsatisfiable") == when]

    @property
    def minds_others(self) -> bool:
        """Whether other pods' places decide where this one may go, so that a new place of theirs may make room."""
        return bool(self.required("podAffinity") or self.required("podAntiAffinity") or self.spread("DoNotSchedule"))
