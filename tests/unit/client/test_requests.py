"""What each verb puts on the wire."""

import orjson
import pytest

from miniplane.api.meta import Key
from miniplane.client import PatchType, Selection, requests
from miniplane.kinds import DEPLOYMENT, NODE, POD

WEB = Key("default", "web")


def test_a_list_names_namespace_and_selectors() -> None:
    """Selectors are encoded into the query; what is empty is not in it."""
    request = requests.list_(POD, Selection("default", labels="app in (a,b)", fields="spec.nodeName=n1"), limit=5)
    assert request.target == (
        "/api/v1/namespaces/default/pods?labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=spec.nodeName%3Dn1&limit=5"
    )
    assert requests.list_(NODE).target == "/api/v1/nodes"


def test_a_watch_resumes_with_bookmarks() -> None:
    """A watch says from where, for how long, and that it wants bookmarks."""
    query = requests.watch(POD, Selection(), revision="7", timeout_s=9).query
    assert query == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "7", "timeoutSeconds": "9"}


def test_a_patch_says_its_form() -> None:
    """The content type is the patch's form; options are query parameters."""
    request = requests.patch(DEPLOYMENT, WEB, {"a": 1}, type=PatchType.APPLY, options={"fieldManager": "me"})
    assert (request.method, request.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert request.target == "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=me"


def test_deletion_options_travel_in_the_body() -> None:
    """Propagation, grace period and uid are DeleteOptions; without any there is no body."""
    body = requests.delete(POD, WEB, propagation="Orphan", grace_s=0, uid="u").body
    assert body is not None
    assert orjson.loads(body) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Orphan",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }
    assert requests.delete(POD, WEB).body is None


@pytest.mark.parametrize("key", [Key("default", ""), Key("", "web")])
def test_a_key_that_would_mean_a_collection_is_refused(key: Key) -> None:
    """A forgotten name or namespace never turns a deletion of one into a deletion of all."""
    with pytest.raises(ValueError, match="needs a name"):
        requests.delete(POD, key)


def test_names_are_escaped() -> None:
    """A name with a slash or question mark stays inside its path segment."""
    assert requests.get(NODE, Key("", "a?b c")).target == "/api/v1/nodes/a%3Fb%20c"
