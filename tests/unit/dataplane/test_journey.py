"""A whole request: name, packet, ingress proxy, reply."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.journey import Journey, follow
from tests.unit.dataplane.builders import labelled, make

DNS_PEER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def pod(name: str, node: str = "node-1", port: int = 8000, **spec: Any) -> Object:
    """A pod with the label `app` = its name up to the first dash."""
    labels = {"app": name.partition("-")[0]}
    containers = [{"name": "main", "ports": [{"name": "http", "containerPort": port}]}]
    return make("Pod", name, labels=labels, spec={"nodeName": node, "containers": containers, **spec})


def service(name: str = "api", **spec: Any) -> Object:
    """A Service: port 80 (`web`) → `http`."""
    ports = [{"name": "web", "port": 80, "targetPort": "http"}]
    return make("Service", name, spec={"selector": {"app": name}, "ports": ports, **spec})


def egress(*to: Object, ports: list[Object] | None = None) -> Object:
    """A policy of `web`'s egress."""
    rule: Object = {"to": list(to)} | ({"ports": ports} if ports else {})
    spec = {"podSelector": labelled("web"), "policyTypes": ["Egress"], "egress": [rule]}
    return make("NetworkPolicy", "leaving", spec=spec)


def ingress(host: str = "api.example.com", name: str = "api", port: int = 80) -> Object:
    """An Ingress with one prefix."""
    backend = {"service": {"name": name, "port": {"number": port}}}
    paths = [{"path": "/v1", "pathType": "Prefix", "backend": backend}]
    return make("Ingress", "front", spec={"rules": [{"host": host, "http": {"paths": paths}}]})


WORLD = [pod("web"), pod("api-1"), pod("api-2", "node-2"), service(), make("Namespace", "shop", "")]


def stages(found: Journey) -> list[str]:
    """The stages of all hops."""
    return [hop.stage for hop in found.trace.hops]


def test_a_short_name_is_completed_by_the_search_list() -> None:
    """The first hop says whom the pod asks and how, the next what the name is, by the Service."""
    found = follow(WORLD, "web", "api")
    assert found.verdict == "delivered"
    first, second = found.trace.hops[:2]
    assert "looks up api at 10.96.0.10, Service kube-system/kube-dns (ndots:5" in first.text
    assert (second.stage, second.object, second.field) == ("dns", "Service default/api", "spec.clusterIP")
    assert second.text == "api.default.svc.cluster.local has the address 10.96.0.2"


def test_every_step_of_the_search_is_told() -> None:
    """A name of another namespace is tried in the own one first; `no such name` is said of each that fails."""
    other = service() | {"metadata": {"name": "api", "namespace": "shop", "labels": {}}}
    target = make("Pod", "api-9", "shop", labels={"app": "api"}, spec={"containers": pod("x")["spec"]["containers"]})
    texts = [hop.text for hop in follow([*WORLD, other, target], "web", "api.shop").trace.hops if hop.stage == "dns"]
    assert texts[1:] == [
        "api.shop.default.svc.cluster.local: no such name",
        "api.shop.svc.cluster.local has the address 10.96.0.3",
    ]


def test_a_name_that_nothing_has_is_unresolved() -> None:
    """All names are tried, then it ends; an outside name is the node's resolver's."""
    unknown = follow(WORLD, "web", "apo.default.svc.cluster.local.")
    assert (unknown.verdict, unknown.trace.hops[-1].verdict) == ("unresolved", "no match")
    outside = follow(WORLD, "web", "example.com")
    assert outside.verdict == "unresolved"
    assert "example.com is no name of the cluster" in outside.trace.hops[-1].text
    assert len(outside.trace.hops) == 5


def test_a_policy_that_forgets_dns_is_found() -> None:
    """The question itself is refused, and the hop names the policy and what it lacks."""
    found = follow([*WORLD, egress({"podSelector": labelled("api")})], "web", "api")
    assert found.verdict == "unresolved"
    reasons = [hop for hop in found.trace.hops if hop.object == "NetworkPolicy default/leaving"]
    assert [hop.field for hop in reasons] == ["spec.egress", "spec.egress[0].to[0]", "spec.egress"]
    assert "UDP 53 to Pod kube-system/kube-dns-0" in reasons[0].text
    assert reasons[-1].text.startswith("the question is dropped: no policy allows it")
    allowed = egress({"podSelector": labelled("api")}, DNS_PEER)
    assert follow([*WORLD, allowed], "web", "api").verdict == "delivered"
    assert follow([*WORLD, egress({"podSelector": labelled("api")})], "web", "svc/api").verdict == "delivered"


def test_pods_on_the_host_network_do_not_know_the_names() -> None:
    """DnsPolicy ClusterFirst means the node's resolver there."""
    found = follow([*WORLD, pod("agent", hostNetwork=True)], "agent", "api")
    assert (found.verdict, found.trace.hops[-1].field) == ("unresolved", "spec.dnsPolicy")


def test_the_names_of_a_headless_service_are_its_pods() -> None:
    """Each address is tried at the port as asked: nothing translates it."""
    objects = [*WORLD, service("many", clusterIP="None", selector={"app": "api"})]
    found = follow(objects, "web", "many", port=80)
    assert [(item.pod, item.port, item.probability) for item in found.trace.backends] == [
        ("default/api-1", 80, 0.5),
        ("default/api-2", 80, 0.5),
    ]
    assert "note that its containers declare no port 80, only 8000" in found.trace.hops[-1].text
    assert follow(objects, "web", "many").trace.destination.port == 8000
    assert follow(objects, "web", "many", port="80").trace.destination.port == 80
    empty = follow([*WORLD, service("none", clusterIP="None")], "web", "none.default.svc.cluster.local")
    assert "is headless and has no ready endpoint" in str([hop.text for hop in empty.trace.hops])


def test_another_name_is_followed_and_outside_ends() -> None:
    """ExternalName inside the cluster leads on, outside it can't be known."""
    inside = service("alias", type="ExternalName", externalName="api.default.svc.cluster.local")
    assert follow([*WORLD, inside], "web", "alias", port=80).verdict == "delivered"
    outside = service("alias", type="ExternalName", externalName="db.example.com")
    found = follow([*WORLD, outside], "web", "alias")
    assert (found.verdict, found.trace.hops[-1].field) == ("unresolved", "spec.externalName")


def test_a_url_of_a_service() -> None:
    """Host and port are taken out of it."""
    assert follow(WORLD, "web", "http://api/").verdict == "delivered"
    assert follow(WORLD, "web", "http://api:81/").verdict == "rejected"
    with pytest.raises(ValueError, match="no URL"):
        follow(WORLD, "web", "ftp://api/")


def test_a_url_of_an_ingress() -> None:
    """From outside: the balancer, the proxy, the rule with its field, then the proxy's own connection."""
    found = follow([*WORLD, ingress()], "external", "http://api.example.com/v1/x?y=z")
    assert found.verdict == "delivered"
    assert stages(found)[:2] == ["dns", "source"]
    rule = next(hop for hop in found.trace.hops if hop.stage == "ingress")
    assert (rule.object, rule.field) == ("Ingress default/front", "spec.rules[0].http.paths[0]")
    assert [(item.pod, item.probability) for item in found.trace.backends] == [
        ("default/api-1", 0.5),
        ("default/api-2", 0.5),
    ]


def test_the_proxy_is_subject_to_policies() -> None:
    """A policy of the backend that forgets the proxy stops the second half."""
    closed = make("NetworkPolicy", "closed", spec={"podSelector": labelled("api"), "ingress": []})
    found = follow([*WORLD, ingress(), closed], "external", "http://api.example.com/v1")
    assert found.verdict == "dropped"
    assert "NetworkPolicy default/closed" in [hop.object for hop in found.trace.hops]


@pytest.mark.parametrize(
    ("url", "objects", "text"),
    [
        ("http://api.example.com/other", [ingress()], "404"),
        ("http://api.example.com/v1", [ingress(name="apo")], "service default/apo is not there"),
        ("http://api.example.com/v1", [ingress(port=81)], "has no port 81"),
    ],
)
def test_what_the_proxy_answers_itself(url: str, objects: list[Object], text: str) -> None:
    """No rule is 404, no backend 503: the request does not reach a pod behind it."""
    found = follow([*WORLD, *objects], "external", url)
    assert found.verdict == "rejected"
    assert text in found.trace.hops[-1].text


def test_pods_reach_an_ingress_through_the_outside_name() -> None:
    """The search list fails, the name is outside, and its address is taken to be the Ingress'."""
    found = follow([*WORLD, ingress()], "web", "http://api.example.com/v1")
    assert found.verdict == "delivered"
    texts = [hop.text for hop in found.trace.hops if hop.stage == "dns"]
    assert len(texts) == 6
    assert "is taken to be 172.30.0.192" in texts[-1]


def test_the_reply_is_translated_back() -> None:
    """It comes from the Service's address again, over both nodes."""
    found = follow([*WORLD[:1], WORLD[2], WORLD[3]], "web", "svc/api", reply=True)
    told = [hop for hop in found.trace.hops if hop.stage == "reply"]
    assert [hop.node for hop in told] == ["node-2", "node-1"]
    assert found.verdict == "delivered"
    assert told[-1].packet == "TCP 10.96.0.2:80 → 10.244.1.2:40000"


def test_the_reply_of_a_masqueraded_connection() -> None:
    """A client outside gets its answer from the address that it asked."""
    objects = [*WORLD, service("open", type="LoadBalancer", selector={"app": "api"})]
    found = follow(objects, "external", "svc/open", reply=True)
    assert found.verdict == "delivered"
    assert {way.hops[-1].verdict for way in found.ways} == {"accept"}


def test_all_backends_have_their_own_hops() -> None:
    """With `all_backends` each backend tells its way; without, the JSON has the fixed keys only."""
    found = follow(WORLD, "web", "svc/api")
    assert [sorted(item) for item in found.to_json()["backends"]] == [
        ["ip", "pod", "port", "probability", "verdict"],
        ["ip", "pod", "port", "probability", "verdict"],
    ]
    told = found.to_json(all_backends=True)["backends"]
    assert [item["hops"][-1]["object"] for item in told] == ["Pod default/api-1", "Pod default/api-2"]
    assert found.lines(all_backends=True).count("") == 2


def test_pods_can_be_named_barely() -> None:
    """A bare name that no Service answers to is a pod's, if there is one."""
    assert follow(WORLD, "web", "api-1").trace.destination.pod == "default/api-1"
    assert follow(WORLD, "default/web", "default/api-2", port="http").trace.destination.port == 8000


def test_a_client_that_stays_gets_its_reply() -> None:
    """Every backend's reply is followed through the choice that led to it, client affinity included."""
    sticky = service("sticky", sessionAffinity="ClientIP", selector={"app": "api"})
    found = follow([*WORLD, sticky], "web", "svc/sticky", reply=True)
    assert [way.hops[-1].stage for way in found.ways] == ["reply", "reply"]
    assert found.verdict == "delivered"


def test_a_pod_reaches_itself_through_its_service() -> None:
    """Hairpin: masqueraded on the way, so that the reply comes back through the node."""
    found = follow([pod("api-1"), service()], "api-1", "svc/api", reply=True)
    assert found.verdict == "delivered"
    assert [hop.stage for hop in found.trace.hops][-3:] == ["nat", "destination", "reply"]


def test_a_reply_comes_back_past_the_node_that_translated() -> None:
    """At another node's port a pod takes that node's address, also under Local: else it would be answered directly."""
    local = service("api", type="NodePort", externalTrafficPolicy="Local")
    objects = [pod("web", "node-2"), pod("api-1", "node-2"), pod("idle", "node-1"), local]
    found = follow(objects, "web", "node/node-1", port=30000, reply=True)
    assert found.verdict == "delivered"
    (masked,) = [hop for hop in found.trace.hops if hop.stage == "nat"]
    assert masked.text.startswith("the source becomes 172.30.0.11 (node-1): client and backend are on other nodes")


def test_a_pod_does_not_stand_in_for_a_name_that_cannot_be_asked_for() -> None:
    """A pod called like the Service is meant only where the DNS knows no such name."""
    objects = [*WORLD, pod("api"), egress({"podSelector": labelled("api")})]
    assert follow(objects, "web", "api").verdict == "unresolved"
    lone = pod("lone") | {"metadata": {"name": "lone", "namespace": "default", "labels": {"app": "api"}}}
    assert follow([*objects, lone], "web", "lone").trace.destination.pod == "default/lone"


def test_a_short_name_of_another_namespace_is_recognised() -> None:
    """Who forgot the namespace is told which Service there is, and how it is called from here."""
    other = service() | {"metadata": {"name": "there", "namespace": "shop", "labels": {}}}
    last = follow([*WORLD, other], "web", "there").trace.hops[-1]
    assert (last.object, last.field) == ("Service shop/there", "metadata.namespace")
    assert "from other namespaces it is there.shop" in last.text


def test_from_outside_a_balanced_service_is_asked_at_its_balancer() -> None:
    """So its source ranges count; from inside it is the ClusterIP."""
    guarded = service("api", type="LoadBalancer", loadBalancerSourceRanges=["203.0.113.0/24"])
    objects = [item for item in WORLD if item["kind"] != "Service"] + [guarded]
    assert follow(objects, "203.0.113.5", "svc/api").verdict == "delivered"
    refused = follow(objects, "198.51.100.5", "svc/api")
    assert (refused.verdict, refused.trace.hops[-1].field) == ("dropped", "spec.loadBalancerSourceRanges")
    assert "10.96." in follow(objects, "web", "svc/api").trace.hops[0].packet


@pytest.mark.parametrize("port", [99999, "65536"])
def test_a_number_that_no_port_has_is_an_error(port: int | str) -> None:
    """It is said at once, not answered."""
    with pytest.raises(ValueError, match="is no port number"):
        follow(WORLD, "web", "svc/api", port=port)


@pytest.mark.parametrize(
    ("broken", "field", "text"),
    [
        (service(selector={"app": "apii"}), "spec.selector", "no pod in default has the labels app=apii"),
        (service(ports=[{"port": 80, "targetPort": "htp"}]), "spec.ports[0].targetPort", "the names there are http"),
        (service(selector={}), "spec.selector", "has no selector"),
    ],
)
def test_a_service_that_leads_nowhere_says_why(broken: Object, field: str, text: str) -> None:
    """The field of the Service that is wrong is named, with what the pods are like."""
    last = follow([pod("web"), pod("api-1"), broken], "web", "svc/api").trace.hops[-1]
    assert (last.object, last.field, last.verdict) == ("Service default/api", field, "reject")
    assert text in last.text


def test_pods_that_are_not_ready_are_named() -> None:
    """Running is not ready."""
    waiting = pod("api-1") | {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}
    last = follow([pod("web"), waiting, service()], "web", "svc/api").trace.hops[-1]
    assert "no pod with app=api (default/api-1) is ready" in last.text


def test_an_address_without_the_port_is_told_whose_it_is() -> None:
    """A load balancer's address at another port, and one of the Services' range that no Service has."""
    balanced = service("api", type="LoadBalancer")
    objects = [item for item in WORLD if item["kind"] != "Service"] + [balanced]
    last = follow(objects, "web", "172.30.0.192", port=443).trace.hops[-1]
    assert (last.object, last.field) == ("Service default/api", "spec.ports")
    assert "has no port TCP 443; it has TCP 80" in last.text
    nobody = follow(objects, "web", "10.96.7.7", port=80)
    assert (nobody.verdict, nobody.trace.hops[-1].text) == ("dropped", "no Service has this address")


def test_a_service_that_sends_is_its_first_pod() -> None:
    """Services send nothing themselves."""
    assert follow(WORLD, "svc/api", "pod/web").trace.hops[0].object == "Pod default/api-1"
    with pytest.raises(ValueError, match="svc/bare has no pod with an address"):
        follow([*WORLD, service("bare", selector={})], "svc/bare", "pod/web")
