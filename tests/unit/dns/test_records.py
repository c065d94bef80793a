"""Names mean what the DNS specification of Kubernetes says."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_zone import PodNames, Record, Reply, Zone

SOA = "SOA"


def service(name: str, namespace: str = "default", **spec: Any) -> Object:
    """A Service."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"type": "ClusterIP", **spec}}


def endpoint_slice(of: str, *endpoints: dict[str, Any], name: str = "s", port: int = 8080) -> Object:
    """A slice of a Service in `default`, with a named port."""
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": of},
        },
        "ports": [{"name": "http", "protocol": "TCP", "port": port}],
        "endpoints": list(endpoints),
    }


PORTS = [{"name": "http", "protocol": "TCP", "port": 80}, {"name": "dns", "protocol": "UDP", "port": 53}]


@pytest.fixture
def directory() -> Directory:
    """One Service of each sort."""
    made = Directory()
    for name in ("default", "production"):
        made.change_namespace(None, {"metadata": {"name": name}})
    for item in (
        service("api", clusterIP="10.96.0.20", ports=PORTS),
        service("api", "production", clusterIP="10.96.0.21", ports=PORTS),
        service("dual", clusterIP="10.96.0.22", clusterIPs=["10.96.0.22", "fd00::22"]),
        service("db", clusterIP="None", ports=PORTS),
        service("empty", clusterIP="None", ports=PORTS),
        service("inside", type="ExternalName", externalName="api.production.svc.cluster.local"),
        service("out", type="ExternalName", externalName="www.example.com"),
        service("loop", type="ExternalName", externalName="loop.default.svc.cluster.local"),
    ):
        made.change_service(None, item)
    made.change_slice(
        None,
        endpoint_slice(
            "db",
            {"addresses": ["10.244.1.5"], "hostname": "db-0"},
            {"addresses": ["10.244.2.6"], "conditions": {"ready": True}},
            {"addresses": ["10.244.2.7"], "conditions": {"ready": False}},
        ),
    )
    return made


def zone(directory: Directory, pod_names: PodNames = "insecure") -> Zone:
    """The zone over a directory."""
    networks = ("10.244.0.0/16", "10.96.0.0/16", "fd00::/112")
    return Zone(directory, domain="cluster.local", dns_ip="10.96.0.10", networks=networks, pod_names=pod_names)


def short(reply: Reply) -> str:
    """An answer in a line."""
    if reply.answer:
        return " ".join(f"{record.type}={record.data}" for record in reply.answer)
    return f"{reply.code}{' SOA' if reply.authority else ''}"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("api.default.svc.cluster.local", "A", "A=10.96.0.20"),
        ("API.Default.svc.cluster.LOCAL.", "A", "A=10.96.0.20"),
        ("api.production.svc.cluster.local", "A", "A=10.96.0.21"),
        ("api.default.svc.cluster.local", "AAAA", "NOERROR SOA"),
        ("dual.default.svc.cluster.local", "A", "A=10.96.0.22"),
        ("dual.default.svc.cluster.local", "AAAA", "AAAA=fd00::22"),
        ("nothing.default.svc.cluster.local", "A", "NXDOMAIN SOA"),
        ("x.api.default.svc.cluster.local", "A", "NXDOMAIN SOA"),
        ("db.default.svc.cluster.local", "A", "A=10.244.1.5 A=10.244.2.6"),
        ("db-0.db.default.svc.cluster.local", "A", "A=10.244.1.5"),
        ("10-244-2-6.db.default.svc.cluster.local", "A", "A=10.244.2.6"),
        ("10-244-2-7.db.default.svc.cluster.local", "A", "NXDOMAIN SOA"),
        ("empty.default.svc.cluster.local", "A", "NXDOMAIN SOA"),
        ("_http._tcp.api.default.svc.cluster.local", "SRV", "SRV=0 100 80 api.default.svc.cluster.local."),
        ("_dns._udp.api.default.svc.cluster.local", "SRV", "SRV=0 100 53 api.default.svc.cluster.local."),
        ("_dns._tcp.api.default.svc.cluster.local", "SRV", "NXDOMAIN SOA"),
        ("_tcp.api.default.svc.cluster.local", "SRV", "NOERROR SOA"),
        ("_sctp.api.default.svc.cluster.local", "SRV", "NXDOMAIN SOA"),
        (
            "_http._tcp.db.default.svc.cluster.local",
            "SRV",
            "SRV=0 50 8080 db-0.db.default.svc.cluster.local. SRV=0 50 8080 10-244-2-6.db.default.svc.cluster.local.",
        ),
        ("out.default.svc.cluster.local", "A", "CNAME=www.example.com."),
        ("out.default.svc.cluster.local", "CNAME", "CNAME=www.example.com."),
        ("inside.default.svc.cluster.local", "A", "CNAME=api.production.svc.cluster.local. A=10.96.0.21"),
        ("loop.default.svc.cluster.local", "A", "CNAME=loop.default.svc.cluster.local."),
        ("cluster.local", "A", "NOERROR SOA"),
        ("cluster.local", "NS", "NS=ns.dns.cluster.local."),
        ("ns.dns.cluster.local", "A", "A=10.96.0.10"),
        ("svc.cluster.local", "A", "NOERROR SOA"),
        ("default.svc.cluster.local", "A", "NOERROR SOA"),
        ("nowhere.svc.cluster.local", "A", "NXDOMAIN SOA"),
        ("else.cluster.local", "A", "NXDOMAIN SOA"),
        ("dns-version.cluster.local", "TXT", 'TXT="1.1.0"'),
        ("10-244-9-9.default.pod.cluster.local", "A", "A=10.244.9.9"),
        ("10-244-9-9.default.pod.cluster.local", "AAAA", "NOERROR SOA"),
        ("fd00--1.default.pod.cluster.local", "AAAA", "AAAA=fd00::1"),
        ("10-244-9-9.nowhere.pod.cluster.local", "A", "NXDOMAIN SOA"),
        ("10-244-9-999.default.pod.cluster.local", "A", "NXDOMAIN SOA"),
        ("20.0.96.10.in-addr.arpa", "PTR", "PTR=api.default.svc.cluster.local."),
        ("5.1.244.10.in-addr.arpa", "PTR", "PTR=db-0.db.default.svc.cluster.local."),
        ("6.2.244.10.in-addr.arpa", "PTR", "PTR=10-244-2-6.db.default.svc.cluster.local."),
        ("99.0.96.10.in-addr.arpa", "PTR", "NXDOMAIN SOA"),
        ("2.2." + "0." * 26 + "0.0.d.f.ip6.arpa", "PTR", "PTR=dual.default.svc.cluster.local."),
        ("8.8.8.8.in-addr.arpa", "PTR", "REFUSED"),
        ("96.10.in-addr.arpa", "PTR", "REFUSED"),
        ("www.example.com", "A", "REFUSED"),
        ("local", "A", "REFUSED"),
        (".", "NS", "REFUSED"),
    ],
)
def test_names(directory: Directory, name: str, kind: str, expected: str) -> None:
    """Each name and type is answered as the specification says."""
    assert short(zone(directory).resolve(name, kind)) == expected


def test_case_of_the_question(directory: Directory) -> None:
    """The answer's owner is written as the question was."""
    reply = zone(directory).resolve("aPi.Default.SVC.cluster.local.", "A")
    assert reply.answer == (Record("aPi.Default.SVC.cluster.local.", "A", "10.96.0.20", 5),)


def test_services_come_with_their_addresses(directory: Directory) -> None:
    """An SRV answer carries the addresses of its targets."""
    reply = zone(directory).resolve("_http._tcp.db.default.svc.cluster.local", "SRV")
    assert [(record.name, record.data) for record in reply.additional] == [
        ("db-0.db.default.svc.cluster.local.", "10.244.1.5"),
        ("10-244-2-6.db.default.svc.cluster.local.", "10.244.2.6"),
    ]


@pytest.mark.parametrize(("mode", "expected"), [("disabled", ["NXDOMAIN"] * 2), ("verified", ["NOERROR", "NXDOMAIN"])])
def test_pod_names(directory: Directory, mode: PodNames, expected: list[str]) -> None:
    """Verified pod names need the pod, disabled ones are none."""
    pod = {"metadata": {"name": "p", "namespace": "default"}, "status": {"podIP": "10.244.1.5"}}
    directory.change_pod(None, pod)
    names = ("10-244-1-5.default.pod.cluster.local", "10-244-1-6.default.pod.cluster.local")
    assert [str(zone(directory, mode).resolve(name, "A").code) for name in names] == expected
    directory.change_pod(pod, pod | {"status": {"phase": "Succeeded", "podIP": "10.244.1.5"}})
    assert zone(directory, "verified").resolve(names[0], "A").code == "NXDOMAIN"


def test_changes_show(directory: Directory) -> None:
    """What changes or goes changes the answers, and the generation with them; a change that does not matter neither."""
    asked = "api.default.svc.cluster.local"
    old, new = service("api", clusterIP="10.96.0.20", ports=PORTS), service("api", clusterIP="10.96.0.99")
    before = directory.generation
    directory.change_service(old, old | {"status": {"loadBalancer": {}}})
    assert directory.generation == before
    directory.change_service(old, new)
    assert short(zone(directory).resolve(asked, "A")) == "A=10.96.0.99"
    assert short(zone(directory).resolve("20.0.96.10.in-addr.arpa", "PTR")) == "NXDOMAIN SOA"
    directory.change_service(new, None)
    assert short(zone(directory).resolve(asked, "A")) == "NXDOMAIN SOA"
    assert directory.generation == before + 2
    headless = endpoint_slice("db", {"addresses": ["10.244.1.5"]})
    directory.change_slice(headless, None)
    assert short(zone(directory).resolve("db.default.svc.cluster.local", "A")) == "NXDOMAIN SOA"
    assert directory.generation == before + 3
    directory.change_namespace({"metadata": {"name": "default"}}, None)
    assert short(zone(directory).resolve("default.svc.cluster.local", "A")) == "NXDOMAIN SOA"


def test_slices_of_cluster_ips_do_not_matter(directory: Directory) -> None:
    """Endpoints behind a ClusterIP come and go without touching any answer."""
    before = directory.generation
    directory.change_slice(None, endpoint_slice("api", {"addresses": ["10.244.1.9"]}, name="api-1"))
    assert directory.generation == before
