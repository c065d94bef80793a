"""What a policy's rules lack: each reason in the terms of its author, and a rule that does allow the packet."""

import re
from typing import Any

import pytest
import yaml

from miniplane.api.kind import Object
from miniplane.dataplane.journey import Journey, follow
from tests.unit.dataplane.builders import labelled, make

PORTS = [{"name": "http", "containerPort": 8000}]


def pod(name: str, namespace: str = "shop", node: str = "node-1", **spec: Any) -> Object:
    """A pod with the label `app` = its name."""
    containers = [{"name": "main", "ports": PORTS}]
    return make("Pod", name, namespace, labels={"app": name}, spec={"nodeName": node, "containers": containers, **spec})


def world(*rules: Object, direction: str = "ingress", selects: str = "api") -> list[Object]:
    """Pods of two namespaces, a Service, and one policy."""
    types = [direction.capitalize()]
    spec = {"podSelector": labelled(selects), "policyTypes": types, **({direction: list(rules)} if rules else {})}
    return [
        make("Namespace", "shop", "", labels={"team": "shop"}),
        make("Namespace", "blog", "", labels={"team": "blog"}),
        pod("web"),
        pod("api"),
        pod("web", "blog", "node-2"),
        pod("agent", "shop", "node-2", hostNetwork=True),
        make(
            "Service", "api", "shop", spec={"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http"}]}
        ),
        make("NetworkPolicy", "p", "shop", spec=spec),
    ]


def told(found: Journey) -> dict[str, str]:
    """What is said of each field that does not match."""
    return {hop.field: hop.text for hop in found.trace.hops if hop.verdict == "no match"}


BLOG = {"namespaceSelector": {"matchLabels": {"team": "blog"}}}


@pytest.mark.parametrize(
    ("source", "rule", "field", "text"),
    [
        (
            "shop/web",
            {"from": [{"podSelector": labelled("wbe")}]},
            ".from[0]",
            "app=wbe does not match Pod shop/web (app=web)",
        ),
        (
            "blog/web",
            {"from": [{"podSelector": labelled("web")}]},
            ".from[0]",
            "without namespaceSelector it means pods of shop only",
        ),
        ("shop/web", {"from": [BLOG]}, ".from[0]", "namespaceSelector team=blog does not match the namespace shop ("),
        (
            "shop/web",
            {"from": [{**BLOG, "podSelector": labelled("web")}]},
            ".from[0]",
            "(podSelector matches, but one item needs both)",
        ),
        (
            "shop/web",
            {"from": [{"podSelector": {}}], "ports": [{"port": 80}]},
            ".ports",
            "but only at TCP 80, not TCP 8000; policies see the pod's port 8000, not the Service's port 80",
        ),
        (
            "shop/web",
            {"ports": [{"port": "web"}]},
            ".ports",
            "TCP web, not TCP 8000; Pod shop/api has no port of the name web",
        ),
        ("shop/web", {"ports": [{"port": 8000, "protocol": "UDP"}]}, ".ports", "only at UDP 8000, not TCP 8000"),
        ("shop/web", {"ports": [{"port": 9000, "endPort": 9010}]}, ".ports", "only at TCP 9000-9010"),
        (
            "shop/web",
            {"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
            ".from[0]",
            "ipBlock 192.0.2.0/24 does not hold 10.244.",
        ),
        (
            "shop/web",
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.244.0.0/16"]}}]},
            ".from[0]",
            "also in its exception 10.244.0.0/16",
        ),
        (
            "shop/agent",
            {"from": [{"podSelector": labelled("agent")}]},
            ".from[0]",
            "which pods on the host network share: it takes an ipBlock",
        ),
    ],
)
def test_what_a_rule_lacks(source: str, rule: Object, field: str, text: str) -> None:
    """The part of the rule that does not fit is named, with what it would have to be."""
    found = follow(world(rule), source, "svc/shop/api")
    assert found.verdict == "dropped"
    assert text in told(found)[f"spec.ingress[0]{field}"]


def test_an_address_before_translation_allows_nothing() -> None:
    """A block that holds the Service's address, but not the pod's, is told so."""
    rule = {"to": [{"ipBlock": {"cidr": "10.96.0.0/16"}}]}
    found = follow(world(rule, direction="egress", selects="web"), "shop/web", "svc/shop/api")
    assert "policies see the address after translation: 10.244." in told(found)["spec.egress[0].to[0]"]


def test_a_policy_without_rules_lets_nothing_through() -> None:
    """There is no rule to tell of; the missing one belongs into a policy of its own."""
    found = follow(world(), "shop/web", "svc/shop/api")
    assert told(found) == {
        "spec.ingress": "selects Pod shop/api for ingress and has no ingress rule, so it lets nothing come in"
    }
    assert found.trace.hops[-1].text.endswith("in spec.ingress of a NetworkPolicy that selects Pod shop/api")


def test_one_policy_that_allows_is_enough() -> None:
    """Others that select the pod are named in one line each, and need not be mended."""
    allowing = world({"from": [{"podSelector": labelled("web")}]})
    other = make("NetworkPolicy", "deny-all", "shop", spec={"podSelector": {}, "policyTypes": ["Ingress"]})
    found = follow([*allowing, other], "shop/web", "svc/shop/api")
    assert found.verdict == "delivered"
    assert told(found) == {
        "spec.ingress": "selects Pod shop/api too and does not allow it; one policy that does is enough"
    }


def test_many_rules_are_told_in_part() -> None:
    """Those that lack one thing come first; the rest is counted."""
    rules = [{"from": [BLOG], "ports": [{"port": number}]} for number in range(1, 9)]
    found = told(follow(world(*rules, {"ports": [{"port": 9}]}), "shop/web", "svc/shop/api"))
    assert "spec.ingress[8].ports" in found
    assert found["spec.ingress"] == "11 more do not fit either"


@pytest.mark.parametrize(
    ("source", "direction", "selects"),
    [
        ("shop/web", "ingress", "api"),
        ("blog/web", "ingress", "api"),
        ("shop/agent", "ingress", "api"),
        ("external", "ingress", "api"),
        ("shop/web", "egress", "web"),
    ],
)
def test_the_rule_that_it_takes_does_allow_it(source: str, direction: str, selects: str) -> None:
    """Added to the policy as it is written, the packet arrives; for names as for addresses."""
    objects = world({"ports": [{"port": 1}]}, direction=direction, selects=selects)
    last = follow(objects, source, "pod/shop/api", port=8000).trace.hops[-1]
    assert (last.object, last.field) == ("NetworkPolicy shop/p", f"spec.{direction}")
    match = re.search(r"It takes the rule (\{.*\}) in spec", last.text)
    assert match is not None
    objects[-1]["spec"][direction].append(yaml.safe_load(match[1]))
    assert follow(objects, source, "pod/shop/api", port=8000).verdict == "delivered"


def test_a_client_whose_address_was_replaced_is_told_so() -> None:
    """Behind a node port the target's node sees a node; a block for the client does not hold it."""
    objects = world({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]})
    objects.append(
        make(
            "Service",
            "open",
            "shop",
            spec={"type": "LoadBalancer", "selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": 8000}]},
        )
    )
    objects.append(pod("idle", "shop", "node-0"))
    text = told(follow(objects, "203.0.113.5", "svc/shop/open"))["spec.ingress[0].from[0]"]
    assert (
        "took the place of the client's 203.0.113.5 on the way, which externalTrafficPolicy: Local would keep" in text
    )
