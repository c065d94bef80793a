"""Roles that gather others, and tokens in Secrets, on the real API server."""

import base64
from typing import Any

from controllers import clusterroles, serviceaccounttokens
from miniplane.api.meta import Key
from miniplane.kinds import CLUSTER_ROLE, SECRET, SERVICE_ACCOUNT, TOKEN_REVIEW
from miniplane.tokens import Key as TokenKey

READ = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
LABEL = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}


async def test_roles_gather_others(world: Any) -> None:
    """admin, edit and view have their rules; a labelled role's are in all three at once, and gone with it."""
    async with world.running(clusterroles.on):
        role = {"metadata": {"name": "widgets", "labels": LABEL}, "rules": [READ]}
        await world.client.create(CLUSTER_ROLE, role)
        names = [Key("", name) for name in ("admin", "edit", "view")]
        roles = await world.until(
            CLUSTER_ROLE, lambda seen: all(READ in (seen[name].get("rules") or ()) for name in names)
        )
        resources = {name: {r for rule in roles[name]["rules"] for r in rule["resources"]} for name in names}
        assert "secrets" not in resources[names[2]]
        assert "rolebindings" not in resources[names[1]]
        assert {"secrets", "rolebindings", "pods", "widgets"} <= resources[names[0]]
        await world.client.delete(CLUSTER_ROLE, Key("", "widgets"))
        await world.until(CLUSTER_ROLE, lambda seen: all(READ not in (seen[name].get("rules") or ()) for name in names))


async def test_a_tokens_secret_is_filled_in_and_goes_with_the_account(world: Any) -> None:
    """The token is believed as long as its Secret is there; the Secret goes when the account does."""
    path = world.kubeconfig.with_name("pki") / "sa.key"
    key = Key("default", "bot-token")
    async with world.running(serviceaccounttokens.controller(path)):
        await world.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "bot", "namespace": "default"}})
        secret = {
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": "bot-token",
                "namespace": "default",
                "annotations": {"kubernetes.io/service-account.name": "bot"},
            },
        }
        await world.client.create(SECRET, secret)
        made = await world.until_one(SECRET, key, lambda obj: "token" in (obj.get("data") or {}))
        assert set(made["data"]) == {"token", "namespace", "ca.crt"}
        token = base64.b64decode(made["data"]["token"]).decode()
        assert TokenKey.load(path).read(token)["sub"] == "system:serviceaccount:default:bot"
        review = await world.client.create(TOKEN_REVIEW, {"spec": {"token": token}})
        assert review["status"]["user"]["username"] == "system:serviceaccount:default:bot"
        await world.client.delete(SERVICE_ACCOUNT, Key("default", "bot"))
        await world.until(SECRET, lambda seen: key not in seen)
