"""What paths and Accept headers mean."""

from pathlib import Path

import pytest

from apiserver.auth import tokens
from apiserver.http.negotiate import Form, Shape, negotiate
from apiserver.http.routes import action, parse
from miniplane.errors import ApiError
from miniplane.kinds import REGISTRY


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("pods", "", "", "")),
        ("/api/v1/namespaces", ("namespaces", "", "", "")),
        ("/api/v1/namespaces/a", ("namespaces", "a", "a", "")),
        ("/api/v1/namespaces/a/finalize", ("namespaces", "a", "a", "finalize")),
        ("/api/v1/namespaces/a/pods/b/log", ("pods", "a", "b", "log")),
        ("/apis/apps/v1/namespaces/a/deployments/b/scale", ("deployments", "a", "b", "scale")),
    ],
)
def test_paths(path: str, expected: tuple[str, str, str, str]) -> None:
    """A path names resource, namespace, name and subresource."""
    route = parse(path, REGISTRY)
    assert route is not None
    assert route.kind is not None
    assert (route.resource, route.namespace, route.name, route.subresource) == expected


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/apps/v1", "/healthz", "/openapi/v3"])
def test_paths_of_no_resource(path: str) -> None:
    """Discovery and health are no resources."""
    assert parse(path, REGISTRY) is None


def test_verbs() -> None:
    """A GET is get, list or watch; a DELETE without a name takes the collection."""
    many, one = parse("/api/v1/namespaces/a/pods", REGISTRY), parse("/api/v1/namespaces/a/pods/b", REGISTRY)
    assert action(many, "GET", "", {}).verb == "list"
    assert action(many, "GET", "", {"watch": "true"}).verb == "watch"
    assert action(many, "GET", "", {"fieldSelector": "metadata.name=x"}).name == "x"
    assert action(many, "DELETE", "", {}).verb == "deletecollection"
    assert action(one, "GET", "", {}).verb == "get"


def test_negotiation() -> None:
    """The first form on the client's list that is offered is taken; what can't be given is skipped or refused."""
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert negotiate(table) == Form(Shape.TABLE)
    assert negotiate("application/vnd.kubernetes.protobuf,application/json") == Form()
    assert negotiate("application/yaml").media == "application/yaml"
    assert negotiate("*/*") == negotiate("") == Form()
    with pytest.raises(ApiError, match="media types"):
        negotiate("text/html")


def test_token_files(tmp_path: Path) -> None:
    """A token names user and groups; a line that is none is refused with its number."""
    file = tmp_path / "tokens.csv"
    file.write_text('secret,ann,1,"a,b"\n')
    user = tokens.load(file).find("secret")
    assert user is not None
    assert (user.name, user.groups) == ("ann", frozenset({"a", "b", "system:authenticated"}))
    assert tokens.load(file).find("other") is None
    file.write_text("secret\n")
    with pytest.raises(ValueError, match=r"tokens\.csv:1"):
        tokens.load(file)
