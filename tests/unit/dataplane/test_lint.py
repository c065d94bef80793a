"""What is wrong with a network though every object is valid: each check by hand."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane import offline
from miniplane.dataplane.lint import CHECKS, Finding, lint
from tests.unit.dataplane.builders import labelled, make

DNS_RULE = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}],
}


def pod(name: str, app: str = "", **parts: Any) -> Object:
    """A pod that listens at `http` (8000)."""
    ports = [{"name": "http", "containerPort": 8000}]
    spec = {"containers": [{"name": "main", "ports": ports}], **parts.pop("spec", {})}
    return make("Pod", name, labels={"app": app or name}, spec=spec, **parts)


def policy(**spec: Any) -> Object:
    """A policy of `web`."""
    return make("NetworkPolicy", "p", spec={"podSelector": labelled("web"), **spec})


def service(name: str = "web", **spec: Any) -> Object:
    """A Service for the pods of its name."""
    return make(
        "Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    )


def ingress(**named: Any) -> Object:
    """An Ingress with one backend."""
    paths = [{"path": "/", "pathType": "Prefix", "backend": {"service": named}}]
    return make("Ingress", "front", spec={"rules": [{"http": {"paths": paths}}]})


def found(*objects: Object) -> list[Finding]:
    """The findings of some manifests."""
    world = offline.build(objects, addons=True)
    return lint(world.objects, world.network)


GOOD = [pod("web"), pod("api"), service(), service("api"), ingress(name="api", port={"number": 80})]


def test_a_network_that_makes_sense_has_no_findings() -> None:
    """Neither ours nor the add-ons' objects are complained about."""
    rules = policy(
        policyTypes=["Ingress", "Egress"],
        ingress=[{"from": [{"podSelector": labelled("api")}], "ports": [{"port": "http"}]}],
        egress=[DNS_RULE, {"to": [{"podSelector": labelled("api")}]}],
    )
    assert found(*GOOD, rules) == []


@pytest.mark.parametrize(
    ("obj", "check", "shown", "field", "text"),
    [
        (
            service("wbe"),
            "service-selects-nothing",
            "Service default/wbe",
            "spec.selector",
            "selects no pod: none in default has app=wbe; Pod default/web has app=web",
        ),
        (
            service("web", ports=[{"port": 80}]) | {"metadata": {"name": "w", "namespace": "default"}},
            "target-port",
            "Service default/w",
            "spec.ports[0].targetPort",
            "TCP 80 is declared by none of the selected pods; they declare TCP 8000 (http)",
        ),
        (
            policy(podSelector=labelled("wbe")),
            "policy-selects-nothing",
            "NetworkPolicy default/p",
            "spec.podSelector",
            "applies to no pod in default",
        ),
        (
            policy(ingress=[{"from": [{"podSelector": labelled("api")}, {"podSelector": labelled("apo")}]}]),
            "peer-matches-nothing",
            "NetworkPolicy default/p",
            "spec.ingress[0].from[1]",
            "matches no pod in default, so it allows nothing",
        ),
        (
            policy(ingress=[{"from": [{"namespaceSelector": labelled("x"), "podSelector": labelled("api")}]}]),
            "peer-matches-nothing",
            "NetworkPolicy default/p",
            "spec.ingress[0].from[0]",
            "matches no pod in the selected namespaces, so it allows nothing",
        ),
        (
            policy(ingress=[{"ports": [{"port": "https"}]}]),
            "named-port",
            "NetworkPolicy default/p",
            "spec.ingress[0].ports[0].port",
            "no target pod has a TCP port with the name https: it allows nothing",
        ),
        (
            policy(egress=[DNS_RULE, {"to": [{"podSelector": labelled("api")}], "ports": [{"port": "sql"}]}]),
            "named-port",
            "NetworkPolicy default/p",
            "spec.egress[1].ports[0].port",
            "no target pod has a TCP port with the name sql: it allows nothing",
        ),
        (
            policy(egress=[{"to": [{"podSelector": labelled("api")}]}]),
            "dns-egress",
            "NetworkPolicy default/p",
            "spec.egress",
            "Pod default/web may not ask the DNS at 10.96.0.10 (UDP 53), so no name resolves",
        ),
        (
            policy(ingress=[{}, {"from": [{"podSelector": labelled("api")}]}]),
            "shadowed-rule",
            "NetworkPolicy default/p",
            "spec.ingress[1]",
            "spec.ingress[0] already allows all that this rule allows",
        ),
        (
            ingress(name="wbe", port={"number": 80}) | {"metadata": {"name": "i", "namespace": "default"}},
            "ingress-backend",
            "Ingress default/i",
            "spec.rules[0].http.paths[0].backend.service.name",
            "Service default/wbe is not there",
        ),
        (
            ingress(name="web", port={"number": 8000}) | {"metadata": {"name": "i", "namespace": "default"}},
            "ingress-backend",
            "Ingress default/i",
            "spec.rules[0].http.paths[0].backend.service.port",
            "Service default/web has no port 8000; it has 80",
        ),
    ],
)
def test_each_mistake_is_found_alone(obj: Object, check: str, shown: str, field: str, text: str) -> None:
    """One mistake gives one finding, at the object and field that hold it."""
    assert [(item.check, item.object, item.field, item.text) for item in found(*GOOD, obj)] == [
        (check, shown, field, text)
    ]


def test_pods_that_are_not_ready_refuse() -> None:
    """A Service whose pods are all unready has no backend."""
    sick = pod("web", status={"conditions": [{"type": "Ready", "status": "False"}]})
    assert [item.check for item in found(sick, service())] == ["service-not-ready"]


def test_policies_do_not_reach_the_host_network() -> None:
    """A policy that selects only such pods applies to none, and says why."""
    agent = pod("agent", "web", spec={"hostNetwork": True})
    (finding,) = found(agent, policy())
    assert "only pods on their node's network" in finding.text


def test_cluster_policies_need_a_subject() -> None:
    """A cluster-wide policy whose namespaces and pods match nothing is named."""
    subject = {"pods": {"namespaceSelector": {}, "podSelector": labelled("wbe")}}
    spec = {"tier": "Admin", "priority": 1, "subject": subject}
    (finding,) = found(*GOOD, make("ClusterNetworkPolicy", "deny", "", spec=spec))
    assert (finding.check, finding.object) == ("policy-selects-nothing", "ClusterNetworkPolicy deny")
    real = {**spec, "subject": {"namespaces": {}}}
    assert found(*GOOD, make("ClusterNetworkPolicy", "deny", "", spec=real)) == []


def test_rules_of_a_direction_that_is_left_out() -> None:
    """Egress rules under policyTypes Ingress do nothing; without policyTypes they count."""
    idle = policy(policyTypes=["Ingress"], egress=[DNS_RULE])
    (finding,) = found(*GOOD, idle)
    assert (finding.check, finding.field) == ("policy-types", "spec.egress")
    assert "policyTypes says Ingress only" in finding.text
    assert found(*GOOD, policy(egress=[DNS_RULE])) == []


@pytest.mark.parametrize(
    ("first", "second", "is_shadowed"),
    [
        ({"action": "Deny"}, {"action": "Accept"}, True),
        ({"action": "Accept"}, {"action": "Deny"}, True),
        ({"action": "Deny", "protocols": [{"udp": {}}]}, {"action": "Accept"}, False),
        (
            {"action": "Deny", "protocols": [{"tcp": {}}]},
            {"action": "Accept", "protocols": [{"tcp": {"destinationPort": {"number": 80}}}]},
            True,
        ),
        ({"action": "Deny", "from": [{"pods": {"podSelector": labelled("x")}}]}, {"action": "Accept"}, False),
        (
            {"action": "Accept", "from": [{"networks": ["10.0.0.0/8"]}]},
            {"action": "Deny", "from": [{"networks": ["10.1.0.0/16"]}]},
            True,
        ),
    ],
)
def test_rules_of_cluster_policies_that_are_never_asked(first: Object, second: Object, *, is_shadowed: bool) -> None:
    """The first rule that matches has the word, so a later one that it covers is named."""
    everyone: list[Object] = [{"namespaces": {}}]
    rules = [{"from": everyone, **first}, {"from": everyone, **second}]
    spec = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "ingress": rules}
    findings = found(*GOOD, make("ClusterNetworkPolicy", "a", "", spec=spec))
    fields = [item.field for item in findings if item.check == "shadowed-rule"]
    assert fields == (["spec.ingress[1]"] if is_shadowed else [])


def test_a_policy_that_keeps_the_ingress_proxy_out() -> None:
    """The backend exists and is ready, but the proxy's pods are let in by no rule; the rule that it takes is told."""
    closed = policy(ingress=[{"from": [{"podSelector": labelled("api")}]}])
    front = ingress(name="web", port={"number": 80})
    (finding,) = found(pod("web"), pod("api"), service(), front, closed)
    assert (finding.check, finding.field) == ("ingress-backend", "spec.rules[0].http.paths[0].backend")
    assert finding.text == "the proxy may not reach Pod default/web (NetworkPolicy default/p spec.ingress)"
    assert "app.kubernetes.io/name: ingress" in finding.advice


def test_an_ingress_of_a_class_that_nobody_serves() -> None:
    """A class of another controller is served by nobody here."""
    other = make("IngressClass", "nginx", "", spec={"controller": "example.com/nginx"})
    named = ingress(name="api", port={"number": 80})
    named["spec"]["ingressClassName"] = "nginx"
    findings = [item for item in found(pod("api"), service("api"), other, named) if item.check == "ingress-class"]
    assert [(item.field, item.text) for item in findings] == [
        ("spec.ingressClassName", "nobody serves the class nginx")
    ]


def test_closing_everything_is_no_mistake() -> None:
    """A pod that may talk to nobody forgets nothing; one that another policy lets ask the DNS is fine."""
    closed = policy(policyTypes=["Egress"])
    assert found(*GOOD, closed) == []
    helper = policy(egress=[DNS_RULE]) | {"metadata": {"name": "dns", "namespace": "default"}}
    assert found(*GOOD, policy(egress=[{"to": [{"podSelector": labelled("api")}]}]), helper) == []


def test_all_checks_are_listed() -> None:
    """Each check has a sentence that says what it finds."""
    assert all(check.__doc__ for check in CHECKS)
