"""What is wrong with a network though every object is valid: things that select nothing, lead nowhere or never matter.

Each check is a function from the world to its findings; `CHECKS` lists them all. Nothing here guesses: what a finding
says follows from the objects, and what to do about it is said with it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import EVERYTHING, LabelSelector
from miniplane.api.wellknown import DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.cover import covered_rules, unreached_rules
from miniplane.dataplane.dns_resolv import resolv_conf
from miniplane.dataplane.explain import trace
from miniplane.dataplane.ingress import Ingresses
from miniplane.dataplane.ingress_routes import is_ours
from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.tierviews import KINDS as CLUSTER_POLICIES
from miniplane.dataplane.tierviews import ClusterPolicyView, cluster_policy_view
from miniplane.dataplane.views import PeerView, PolicyView, RuleView, namespace_view, policy_view
from miniplane.dataplane.words import Words

COMPLETED = ("Succeeded", "Failed")
DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `object` is `Kind namespace/name`, `field` a path in it, `advice` what to do."""

    check: str
    object: str
    field: str
    text: str
    advice: str

    def to_json(self) -> dict[str, str]:
        """`{"check", "object", "field", "text", "advice"}`."""
        return asdict(self)


class Scene:
    """The world as the checks see it."""

    def __init__(self, objects: Iterable[Object], network: Network) -> None:
        whole = list(objects)
        self.words = Words(whole)
        self.network = network
        self.cluster = Cluster.from_objects(whole, network)
        self.pods = [pod for pod in self.of("Pod") if (pod.get("status") or {}).get("phase") not in COMPLETED]
        self._namespaces = {
            name: dict(view.labels) for view in map(namespace_view, self.of("Namespace")) for name in [view.name]
        }

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind, in order."""
        return [obj for _, obj in sorted(self.words.of(kind).items())]

    def behind(self, service: Object) -> list[Object]:
        """The pods that a Service selects."""
        selector = (service.get("spec") or {}).get("selector") or {}
        return [
            pod
            for pod in self.pods
            if meta.namespace(pod) == meta.namespace(service) and selector.items() <= meta.labels(pod).items()
        ]

    def selected(self, policy: PolicyView) -> list[Object]:
        """The pods that a policy applies to."""
        return [
            pod
            for pod in self.pods
            if meta.namespace(pod) == policy.namespace
            and not is_host(pod)
            and policy.selector.matches(meta.labels(pod))
        ]

    def peers(self, policy: PolicyView, peer: PeerView) -> list[Object]:
        """The pods that a peer means by its selectors."""
        pods, namespaces = peer.pods or EVERYTHING, peer.namespaces
        return [
            pod
            for pod in self.pods
            if not is_host(pod)
            and pods.matches(meta.labels(pod))
            and self._is_in(meta.namespace(pod), policy.namespace, namespaces)
        ]

    def is_subject(self, policy: ClusterPolicyView, pod: Object) -> bool:
        """Whether a cluster-wide policy applies to a pod."""
        is_there = policy.namespaces.matches(self._namespaces.get(meta.namespace(pod), {}))
        return is_there and not is_host(pod) and policy.pods.matches(meta.labels(pod))

    def _is_in(self, namespace: str, own: str, selector: LabelSelector | None) -> bool:
        return namespace == own if selector is None else selector.matches(self._namespaces.get(namespace, {}))


def is_host(pod: Object) -> bool:
    """Whether a pod uses its node's network, where policies do not reach."""
    return bool((pod.get("spec") or {}).get("hostNetwork"))


def lint(objects: Iterable[Object], network: Network) -> list[Finding]:
    """All findings of a complete world (`offline.build` makes one, with `addons` for the check of DNS)."""
    scene = Scene(objects, network)
    found = [finding for check in CHECKS for finding in check(scene)]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.object, finding.field, finding.check))


def _service(obj: Object, check: str, field: str, text: str, advice: str) -> Finding:
    return Finding(check, f"Service {meta.key_of(obj)}", field, text, advice)


def services(scene: Scene) -> Iterator[Finding]:
    """Services whose selector takes no pod, or only pods that are not ready."""
    for service in scene.of("Service"):
        selector = (service.get("spec") or {}).get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            continue
        pods = scene.behind(service)
        if not pods:
            near = _nearest(scene, service, selector)
            wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            text = f"selects no pod: none in {meta.namespace(service)} has {wanted}{near}"
            yield _service(
                service, "service-selects-nothing", "spec.selector", text, "correct the selector or the labels"
            )
        elif not any(meta.is_condition_true(pod, "Ready") for pod in pods):
            others = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
            text = f"selects Pod {meta.key_of(pods[0])}{others}, not ready, so connections are refused"
            yield _service(
                service, "service-not-ready", "spec.selector", text, "see the pods' readiness probes and events"
            )


def _nearest(scene: Scene, service: Object, selector: dict[str, str]) -> str:
    """The pod whose labels are most like the selector, where any pod has its keys at all."""
    best, most = "", 0.0
    for pod in scene.pods:
        labels = meta.labels(pod)
        known = [key for key in selector if key in labels]
        likeness = sum(SequenceMatcher(None, selector[key], labels[key]).ratio() for key in known)
        if meta.namespace(pod) == meta.namespace(service) and likeness > most:
            most = likeness
            best = f"; Pod {meta.key_of(pod)} has {', '.join(f'{key}={labels[key]}' for key in known)}"
    return best


def service_ports(scene: Scene) -> Iterator[Finding]:
    """Target ports that none of the selected pods declares, where they declare any."""
    for service in scene.of("Service"):
        spec = service.get("spec") or {}
        pods = [pod for pod in scene.behind(service) if _declared(pod)] if spec.get("selector") else []
        for number, port in enumerate(spec.get("ports") or () if pods else ()):
            target, protocol = port.get("targetPort") or port.get("port"), port.get("protocol") or "TCP"
            offered = {item for pod in pods for item in _declared(pod)}
            if any(protocol == kind and target in (name, value) for name, kind, value in offered):
                continue
            shown = ", ".join(sorted(f"{kind} {value}{f' ({name})' if name else ''}" for name, kind, value in offered))
            text = f"{protocol} {target} is declared by none of the selected pods; they declare {shown}"
            field = f"spec.ports[{number}].targetPort"
            yield _service(service, "target-port", field, text, "name a port that the containers listen on")


def _declared(pod: Object) -> list[tuple[str, str, int]]:
    return [
        (port.get("name") or "", port.get("protocol") or "TCP", port.get("containerPort") or 0)
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    ]


def _policies(scene: Scene) -> Iterator[tuple[PolicyView, str]]:
    for obj in scene.of("NetworkPolicy"):
        yield policy_view(obj), f"NetworkPolicy {meta.key_of(obj)}"


def _rules(policy: PolicyView) -> Iterator[tuple[str, str, int, RuleView]]:
    """(direction, side, index, rule) of every rule."""
    for direction, side, rules in (("ingress", "from", policy.ingress), ("egress", "to", policy.egress)):
        for index, rule in enumerate(rules or ()):
            yield direction, side, index, rule


def policies(scene: Scene) -> Iterator[Finding]:
    """Policies that apply to no pod, and peers that mean none."""
    for policy, shown in _policies(scene):
        if not scene.selected(policy):
            hosts = [pod for pod in scene.pods if is_host(pod) and meta.namespace(pod) == policy.namespace]
            matching = [pod for pod in hosts if policy.selector.matches(meta.labels(pod))]
            why = ": only pods on their node's network, where policies do not apply" if matching else ""
            text = f"applies to no pod in {policy.namespace}{why}"
            yield Finding(
                "policy-selects-nothing", shown, "spec.podSelector", text, "correct the selector or the labels"
            )
        for direction, side, index, rule in _rules(policy):
            for number, peer in enumerate(rule.peers or ()):
                if peer.block is None and peer.pods is not None and not scene.peers(policy, peer):
                    field = f"spec.{direction}[{index}].{side}[{number}]"
                    where = f"in {policy.namespace}" if peer.namespaces is None else "in the selected namespaces"
                    text = f"matches no pod {where}, so it allows nothing"
                    yield Finding("peer-matches-nothing", shown, field, text, _peer_advice(peer))


def policy_types(scene: Scene) -> Iterator[Finding]:
    """Rules of a direction that the policy's types leave out."""
    for obj in scene.of("NetworkPolicy"):
        spec = obj.get("spec") or {}
        types = spec.get("policyTypes") or []
        for direction in ("ingress", "egress"):
            if types and spec.get(direction) and direction.capitalize() not in types:
                text = f"has no effect: policyTypes says {', '.join(types)} only"
                advice = f"add {direction.capitalize()} to spec.policyTypes, or remove the rules"
                yield Finding("policy-types", f"NetworkPolicy {meta.key_of(obj)}", f"spec.{direction}", text, advice)


def cluster_policies(scene: Scene) -> Iterator[Finding]:
    """Cluster-wide policies whose subject is no pod, and rules of theirs that are never asked."""
    for obj in (obj for kind in CLUSTER_POLICIES for obj in scene.of(kind)):
        view = cluster_policy_view(obj)
        if not any(scene.is_subject(view, pod) for pod in scene.pods):
            text = "its subject is no pod: no namespace and pod match both"
            shown = f"{view.kind} {view.name}"
            yield Finding("policy-selects-nothing", shown, "spec.subject", text, "correct the selectors or the labels")
        for direction, rules in (("ingress", view.ingress), ("egress", view.egress)):
            for index, by in unreached_rules(rules):
                text = f"is never asked: spec.{direction}[{by}] comes first and matches all that this rule matches"
                field, advice = f"spec.{direction}[{index}]", "put the narrower rule first, or remove one of the two"
                yield Finding("shadowed-rule", f"{view.kind} {view.name}", field, text, advice)


def _peer_advice(peer: PeerView) -> str:
    if peer.namespaces is None:
        return "correct the labels; pods of other namespaces need a namespaceSelector in the same item"
    return "correct the labels; both selectors of one item must match, separate items are alternatives"


def named_ports(scene: Scene) -> Iterator[Finding]:
    """Port names in rules that no target pod has."""
    for policy, shown in _policies(scene):
        for direction, _, index, rule in _rules(policy):
            targets = scene.selected(policy) if direction == "ingress" else _targets(scene, policy, rule)
            for number, port in enumerate(rule.ports or ()):
                offered = {item[:2] for pod in targets for item in _declared(pod)}
                if port.name and targets and (port.name, port.protocol.name) not in offered:
                    text = f"no target pod has a {port.protocol.name} port with the name {port.name}: it allows nothing"
                    field = f"spec.{direction}[{index}].ports[{number}].port"
                    yield Finding(
                        "named-port", shown, field, text, "name a port as the containers do, or use its number"
                    )


def _targets(scene: Scene, policy: PolicyView, rule: RuleView) -> list[Object]:
    if rule.peers is None:
        return [pod for pod in scene.pods if not is_host(pod)]
    return [pod for peer in rule.peers if peer.pods is not None for pod in scene.peers(policy, peer)]


def dns_egress(scene: Scene) -> Iterator[Finding]:
    """Pods that may talk to somebody, but not to the cluster's DNS, and so find nobody by name."""
    views = list(_policies(scene))
    server = scene.network.dns_ip
    for policy, shown in views:
        if not policy.egress:
            continue
        cut_off = [
            pod for pod in scene.selected(policy) if _asks(pod, scene.network) and _is_cut_off(scene, pod, server)
        ]
        if cut_off:
            others = f" and {len(cut_off) - 1} more" if len(cut_off) > 1 else ""
            text = (
                f"Pod {meta.key_of(cut_off[0])}{others} may not ask the DNS at {server} (UDP 53), so no name resolves"
            )
            advice = (
                "allow egress to ports 53 UDP and TCP of the pods k8s-app=kube-dns in the namespace kube-system, "
                "after translation: the pods, not the ClusterIP"
            )
            yield Finding("dns-egress", shown, "spec.egress", text, advice)


def _asks(pod: Object, network: Network) -> bool:
    return network.dns_ip in resolv_conf(pod, network).nameservers


def _is_cut_off(scene: Scene, pod: Object, server: str) -> bool:
    if not (pod.get("status") or {}).get("podIP"):
        return False
    found = trace(scene.cluster, f"pod/{meta.key_of(pod)}", server, DNS_PORT, Protocol.UDP)
    return any(hop.stage == "policy" and hop.verdict == "drop" for hop in found.hops)


def shadowed(scene: Scene) -> Iterator[Finding]:
    """Rules of which another rule of the same policy already allows everything."""
    for policy, shown in _policies(scene):
        for direction, rules in (("ingress", policy.ingress), ("egress", policy.egress)):
            for index, by in covered_rules(rules or ()):
                text = f"spec.{direction}[{by}] already allows all that this rule allows"
                yield Finding("shadowed-rule", shown, f"spec.{direction}[{index}]", text, "remove one of the two")


def ingresses(scene: Scene) -> Iterator[Finding]:
    """Backends whose Service or port is not there, or behind which nobody is ready."""
    for ingress in scene.of("Ingress"):
        for field, backend in _backends(ingress.get("spec") or {}):
            named = backend.get("service") or {}
            key, port = meta.Key(meta.namespace(ingress), named.get("name") or ""), named.get("port") or {}
            shown, service = f"Ingress {meta.key_of(ingress)}", scene.words.of("Service").get(key)
            if not key.name:
                continue
            if service is None:
                others = [str(other) for other in scene.words.of("Service") if other.name == key.name]
                there = (
                    f"; there is {', '.join(others)}, but a backend is in the Ingress' own namespace" if others else ""
                )
                text = f"Service {key} is not there{there}"
                yield Finding("ingress-backend", shown, f"{field}.service.name", text, "create it or correct the name")
                continue
            ports = (service.get("spec") or {}).get("ports") or ()
            wanted = port.get("name") or port.get("number")
            if not any(wanted in (item.get("name"), item.get("port")) for item in ports):
                has = ", ".join(f"{item.get('name') or ''} {item.get('port')}".strip() for item in ports) or "none"
                text = f"Service {key} has no port {wanted}; it has {has}"
                yield Finding(
                    "ingress-backend", shown, f"{field}.service.port", text, "name the Service's port, not the pod's"
                )
            elif (service["spec"].get("selector")) and not scene.behind(service):
                text = f"Service {key} selects no pod, so the proxy answers 503"
                yield Finding("ingress-backend", shown, f"{field}.service.name", text, "see the Service's selector")


def ingress_classes(scene: Scene) -> Iterator[Finding]:
    """Ingresses that nobody serves."""
    classes = scene.of("IngressClass")
    ours = {meta.name(item) for item in classes if (item.get("spec") or {}).get("controller") == INGRESS_CONTROLLER}
    default = any(
        meta.name(item) in ours and meta.annotations(item).get(DEFAULT_INGRESS_CLASS) == "true" for item in classes
    )
    for ingress in scene.of("Ingress"):
        if not is_ours(ingress, ours, has_default=default):
            named = (ingress.get("spec") or {}).get("ingressClassName")
            text = f"nobody serves the class {named}" if named else "names no class, and there is no default class"
            advice = f"name a class that is served: {', '.join(sorted(ours)) or 'there is none'}"
            yield Finding("ingress-class", f"Ingress {meta.key_of(ingress)}", "spec.ingressClassName", text, advice)


def closed_backends(scene: Scene) -> Iterator[Finding]:
    """Backends that a policy keeps the ingress proxy from."""
    routes = Ingresses(scene.words)
    proxies = [str(meta.key_of(pod)) for pod in scene.pods if routes.is_proxy(str(meta.key_of(pod)))]
    for route in routes.routes if proxies else ():
        for address, port in route.target.endpoints:
            found = trace(scene.cluster, f"pod/{proxies[0]}", address, port)
            refusing = [hop for hop in found.hops if hop.verdict in ("drop", "reject")]
            if refusing:
                last = refusing[-1]
                text = f"the proxy may not reach Pod {found.destination.pod} ({last.object} {last.field})"
                field = f"{route.field}.backend".replace("defaultBackend.backend", "defaultBackend")
                yield Finding("ingress-backend", str(route), field, text, last.text)
                break


def _backends(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if spec.get("defaultBackend"):
        yield "spec.defaultBackend", spec["defaultBackend"]
    for number, rule in enumerate(spec.get("rules") or ()):
        for index, item in enumerate((rule.get("http") or {}).get("paths") or ()):
            yield f"spec.rules[{number}].http.paths[{index}].backend", item.get("backend") or {}


CHECKS: tuple[Callable[[Scene], Iterator[Finding]], ...] = (
    services,
    service_ports,
    policies,
    policy_types,
    cluster_policies,
    named_ports,
    dns_egress,
    shadowed,
    ingresses,
    ingress_classes,
    closed_backends,
)
"""All checks."""
