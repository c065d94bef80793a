"""What people call the ends of a connection."""

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.words import Words, split_port
from tests.unit.dataplane.builders import labelled, make


def test_ports() -> None:
    """A port stands behind the last colon; an IPv6 address needs brackets for one."""
    assert split_port("svc/api:80") == ("svc/api", 80)
    assert split_port("svc/api:web") == ("svc/api", "web")
    assert split_port("svc/api") == ("svc/api", 0)
    assert split_port("[fd00::1]:80") == ("fd00::1", 80)
    assert split_port("fd00::1") == ("fd00::1", 0)
    with pytest.raises(ValueError, match="no port number"):
        split_port("api:65536")


def _pod(name: str, namespace: str = "default", **ports: int) -> Object:
    declared = [{"name": word, "containerPort": number} for word, number in ports.items()]
    spec = {"containers": [{"name": "main", "ports": declared}]}
    return make("Pod", name, namespace, labels={"app": "web"}, spec=spec, status={"podIP": "10.244.1.9"})


WORDS = Words(
    [
        _pod("web-b"),
        _pod("web-a", http=8000),
        _pod("web", "shop"),
        make("Deployment", "web", spec={"selector": labelled("web")}),
        make("Deployment", "idle", spec={"selector": labelled("idle")}),
        make(
            "Service",
            "api",
            spec={"ports": [{"name": "http", "port": 81}, {"name": "dns", "port": 53, "protocol": "UDP"}]},
        ),
        make("Service", "api", "shop", spec={"ports": [{"port": 81}]}),
        make("Node", "node-1", ""),
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-a", "pod/default/web-a"),
        ("pod/web-a", "pod/default/web-a"),
        ("shop/web", "pod/shop/web"),
        ("pod/shop/web", "pod/shop/web"),
        ("deploy/web", "pod/default/web-a"),
        ("node/node-1", "node/node-1"),
        ("external", "external"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_sources(text: str, expected: str) -> None:
    """A name is a pod's; kinds and namespaces stand before it; a workload is its first pod."""
    assert WORDS.source(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("svc/api", "svc/default/api"),
        ("service/shop/api", "svc/shop/api"),
        ("shop/api", "svc/shop/api"),
        ("shop/web", "pod/shop/web"),
        ("deployment/web", "pod/default/web-a"),
        ("api", ""),
        ("api.shop.svc", ""),
        ("external", "external"),
    ],
)
def test_targets(text: str, expected: str) -> None:
    """A Service is found by kind, or by namespace and name where no pod has them; a bare name is for the DNS."""
    assert WORDS.target(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nobody", r'pods "nobody" not found in namespace default'),
        ("svc/nobody", r'services "nobody" not found'),
        ("deploy/nobody", r'Deployment "nobody" not found'),
        ("deploy/idle", "deploy/idle has no pod with an address"),
        ("node/nobody", r'nodes "nobody" not found$'),
    ],
)
def test_what_is_not_there(text: str, problem: str) -> None:
    """A name that nothing has is an error, not a guess."""
    with pytest.raises(ValueError, match=problem):
        WORDS.source(text)


@pytest.mark.parametrize(
    ("target", "port", "protocol", "expected"),
    [
        ("svc/default/api", 0, "TCP", 81),
        ("svc/default/api", 0, "UDP", 53),
        ("svc/default/api", "http", "TCP", 81),
        ("svc/default/api", "8080", "TCP", 8080),
        ("pod/default/web-a", "http", "TCP", 8000),
        ("pod/default/web-a", 0, "TCP", 8000),
        ("pod/default/web-b", 0, "TCP", 80),
        ("10.1.2.3", 0, "TCP", 80),
    ],
)
def test_port_numbers(target: str, port: int | str, protocol: str, expected: int) -> None:
    """A name is looked up at the target, nothing means its first port of the protocol."""
    assert WORDS.port(target, port, protocol) == expected


def test_an_unknown_port_name_is_an_error() -> None:
    """The protocol must agree."""
    with pytest.raises(ValueError, match="no UDP port with the name 'http'"):
        WORDS.port("svc/default/api", "http", "UDP")
