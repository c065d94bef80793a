"""Service accounts' tokens: made, believed, and no longer believed."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import RawTestServer

from apiserver.app import compose
from apiserver.settings import Settings
from apiserver.store import open_store
from miniplane.kinds import REGISTRY
from miniplane.testing.clock import SimulatedClock
from miniplane.tokens import Key, new_key
from tests.contract.api.conftest import Api, NewClusters, pod

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class Timed:
    """A server whose clock stands still."""

    def __init__(self, api: Api, clock: SimulatedClock, key: Key) -> None:
        self.api, self.clock, self.key = api, clock, key

    async def token(self, account: str = "bot", **spec: Any) -> str:
        """A new token."""
        made = await self.api.make(f"{ACCOUNTS}/{account}/token", {"spec": spec})
        return str(made["status"]["token"])

    async def user(self, token: str) -> Any:
        """Whose it is; None for nobody's."""
        answer = await self.api("POST", WHO, {}, token=token)
        assert answer.status in (201, 401)
        return answer.obj["status"]["userInfo"] if answer.status == 201 else None


@pytest.fixture
async def server(settings: Settings, new_clusters: NewClusters) -> AsyncIterator[Timed]:
    """A running server with the account `bot`."""
    clock, key = SimulatedClock(), Key(new_key())
    async with open_store("memory://") as store:
        await new_clusters.fill(store, settings)
        app = compose(replace(settings, anonymous_auth=True), store, REGISTRY, clock, key=key)
        async with RawTestServer(app.handler, access_log=None) as http, ClientSession() as session:
            api = Api(session, str(http.make_url("")).rstrip("/"), store, app)
            await api.make(ACCOUNTS, {"metadata": {"name": "bot"}})
            yield Timed(api, clock, key)
            app.watches.close()
        await app.proxy.close()


async def test_a_token_says_who(server: Timed) -> None:
    """The user is the account, in the groups of accounts, with the token's id; the claims are upstream's."""
    token = await server.token()
    info = await server.user(token)
    claims = server.key.read(token)
    assert info["username"] == claims["sub"] == "system:serviceaccount:default:bot"
    assert info["groups"] == ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:default"]
    assert info["extra"] == {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
    assert claims["aud"] == [claims["iss"]] == ["https://kubernetes.default.svc.cluster.local"]
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["kubernetes.io"]["serviceaccount"] == {"name": "bot", "uid": info["uid"]}


async def test_wrong_tokens(server: Timed) -> None:
    """Another key's, an unsigned, a cut and a foreign issuer's token are nobody's."""
    token = await server.token()
    claims = dict(server.key.read(token))
    header, body, signature = token.split(".")
    wrong = [
        Key(new_key()).sign(claims),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, server.key.public_pem.decode().replace("-", "x"), algorithm="HS256"),
        f"{header}.{body}.",
        f"{header}.{body}.{signature[::-1]}",
        server.key.sign({**claims, "iss": "https://elsewhere"}),
        "",
        "a.b.c",
    ]
    for text in wrong:
        assert await server.user(text or "x") is None, text
    assert await server.user(token)


async def test_a_token_ends(server: Timed) -> None:
    """After its time it is refused; a time under ten minutes or over 2^32 seconds is never given."""
    token = await server.token(expirationSeconds=600)
    await server.clock.advance(599)
    assert await server.user(token)
    await server.clock.advance(2)
    assert await server.user(token) is None
    for seconds in (599, (1 << 32) + 1):
        answer = await server.api("POST", f"{ACCOUNTS}/bot/token", {"spec": {"expirationSeconds": seconds}})
        assert (answer.status, answer.fields) == (422, ["spec.expirationSeconds"])


async def test_audiences(server: Timed) -> None:
    """A token for others is not for the API, and a review says for whom it is."""
    token = await server.token(audiences=["vault"])
    assert await server.user(token) is None
    review = (await server.api("POST", REVIEWS, {"spec": {"token": token, "audiences": ["vault", "x"]}})).obj["status"]
    assert review["authenticated"] is True
    assert review["audiences"] == ["vault"]
    other = (await server.api("POST", REVIEWS, {"spec": {"token": token}})).obj["status"]
    assert "authenticated" not in other
    assert "invalid bearer token" in other["error"]


async def test_a_token_goes_with_its_account(server: Timed) -> None:
    """A deleted account's token is nobody's, also when another account of the name is made."""
    token = await server.token()
    await server.api("DELETE", f"{ACCOUNTS}/bot")
    assert await server.user(token) is None
    await server.api.make(ACCOUNTS, {"metadata": {"name": "bot"}})
    assert await server.user(token) is None


async def test_a_token_goes_with_its_pod(server: Timed) -> None:
    """A token bound to a pod says which, holds for its account only, and ends with the pod."""
    body = pod("web")
    body["spec"] |= {"serviceAccountName": "bot", "nodeName": "node-1"}
    made = await server.api.make("/api/v1/namespaces/default/pods", body)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": made["metadata"]["uid"]}
    token = await server.token(boundObjectRef=bound)
    extra = (await server.user(token))["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [bound["uid"]]
    wrong = await server.api("POST", f"{ACCOUNTS}/bot/token", {"spec": {"boundObjectRef": {**bound, "uid": "other"}}})
    assert wrong.status == 409
    missing = await server.api("POST", f"{ACCOUNTS}/bot/token", {"spec": {"boundObjectRef": {**bound, "name": "no"}}})
    assert missing.status == 404
    await server.api.make(ACCOUNTS, {"metadata": {"name": "cat"}})
    other = await server.api("POST", f"{ACCOUNTS}/cat/token", {"spec": {"boundObjectRef": bound}})
    assert other.status == 400
    await server.api("DELETE", "/api/v1/namespaces/default/pods/web", {"gracePeriodSeconds": 0})
    assert await server.user(token) is None


async def test_nodes_get_tokens_for_their_pods_only(server: Timed) -> None:
    """A node asks for tokens of the accounts of its own pods, bound to these; never for another node's."""
    body = pod("web")
    body["spec"] |= {"serviceAccountName": "bot", "nodeName": "node-1"}
    made = await server.api.make("/api/v1/namespaces/default/pods", body)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": made["metadata"]["uid"]}
    for node, reference, code in (("node-1", bound, 201), ("node-1", None, 403), ("node-2", bound, 403)):
        headers = {"Impersonate-User": f"system:node:{node}", "Impersonate-Group": "system:nodes"}
        spec = {"boundObjectRef": reference} if reference else {}
        url = f"{server.api.url}{ACCOUNTS}/bot/token"
        async with server.api.session.post(url, json={"spec": spec}, headers=headers) as response:
            assert response.status == code, await response.text()


async def test_others_can_verify_tokens(server: Timed) -> None:
    """The discovery document leads to the key that verifies tokens; accounts may read it."""
    token = await server.token()
    document = (await server.api("GET", "/.well-known/openid-configuration", token=token)).obj
    assert document["issuer"] == server.key.read(token)["iss"]
    assert document["jwks_uri"].endswith("/openid/v1/jwks")
    keys = (await server.api("GET", "/openid/v1/jwks", token=token)).obj
    key = jwt.PyJWKSet.from_dict(keys).keys[0]
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    assert jwt.decode(
        token, key, audience=document["issuer"], options={"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    )


async def test_a_browsers_token_stands_in_the_subprotocols(server: Timed) -> None:
    """A WebSocket's subprotocol carries a token; a wrong one is refused like a wrong header."""
    good = base64.urlsafe_b64encode((await server.token()).encode()).rstrip(b"=").decode()
    url = f"{server.api.url}/api/v1/namespaces/default/pods/web/exec"
    for text, code in ((good, 403), ("bm9ib2R5", 401), ("%%%", 401)):
        headers = {"Sec-WebSocket-Protocol": f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{text}"}
        async with server.api.session.get(url, headers=headers) as response:
            assert response.status == code
            if code == HTTPStatus.FORBIDDEN:
                assert "system:serviceaccount:default:bot" in await response.text()
