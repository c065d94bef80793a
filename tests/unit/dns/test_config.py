"""The ConfigMap of stub domains and upstreams is read as users of kube-dns know it, and what is wrong in it is told."""

import pytest

from miniplane.dataplane.dns_config import Forwarding, Server, parse, server

OWN = ("10.96.0.10", "10.244.1.2")
NODE = (Server("192.0.2.53"),)


def read(**data: str) -> Forwarding:
    """What the data says in a cluster with one upstream."""
    return parse(data, own=OWN, domain="cluster.local", upstreams=NODE)


def test_the_longest_stub_domain_is_asked() -> None:
    """A name goes to the servers of the longest domain that it is in, others upstream, whatever its case."""
    found = read(stubDomains='{"corp.example": ["10.0.0.1"], "EU.corp.example.": ["10.0.0.2:5353", "10.0.0.3"]}')
    assert found.servers("www.corp.example") == (Server("10.0.0.1"),)
    assert found.servers("a.b.eu.Corp.example.") == (Server("10.0.0.2", 5353), Server("10.0.0.3"))
    assert found.servers("corp.example") == (Server("10.0.0.1"),)
    assert found.servers("notcorp.example") == NODE
    assert found.problems == ()


def test_upstreams_replace_the_nodes() -> None:
    """At most three upstreams are taken, instead of what the node's resolv.conf has."""
    found = read(upstreamNameservers='["1.1.1.1", "[fd00::1]:54", "9.9.9.9", "8.8.8.8"]')
    assert found.upstreams == (Server("1.1.1.1"), Server("fd00::1", 54), Server("9.9.9.9"))
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("stubDomains", "{", "Expecting property name"),
        ("stubDomains", "[]", "must be a JSON object"),
        ("stubDomains", '{"a_b..c": ["1.1.1.1"]}', "is no domain name"),
        ("stubDomains", '{"svc.cluster.local": ["1.1.1.1"]}', "the cluster's own domain"),
        ("stubDomains", '{"a.example": "1.1.1.1"}', "stubDomains[a.example]: must be a JSON array"),
        ("stubDomains", '{"a.example": ["ns.example"]}', "'ns.example' is no address of a nameserver"),
        ("upstreamNameservers", '["1.1.1.1:99999"]', "has no port between"),
        ("upstreamNameservers", '["10.96.0.10"]', "is this DNS itself"),
        ("Corefile", ".:53 { forward . 1.1.1.1 }", "not known here"),
    ],
)
def test_problems_are_told(key: str, text: str, problem: str) -> None:
    """Each mistake is named and counts as absent."""
    found = read(**{key: text})
    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert (found.upstreams, dict(found.stubs)) == (NODE, {})


def test_servers_print_as_they_are_read() -> None:
    """A server's text leads back to it."""
    for item in (Server("10.0.0.1"), Server("fd00::1", 5353)):
        assert server(str(item)) == item


def test_a_nodes_own_upstream_that_leads_here_is_left_out() -> None:
    """The node's resolv.conf may name the cluster's DNS: asking it would be a loop."""
    assert parse({}, own=OWN, domain="cluster.local", upstreams=(Server("10.96.0.10"), *NODE)).upstreams == NODE
