"""Roles and bindings in force, and the questions that can be asked about them."""

from typing import Any

import pytest

from miniplane.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from tests.contract.api.conftest import MERGE, Api, config_map

PODS = "/api/v1/namespaces/default/pods"
GROUP = "rbac.authorization.k8s.io"
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}


def role(name: str, *rules: Any) -> dict[str, Any]:
    """A Role or ClusterRole."""
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, kind: str, of: str, *users: str) -> dict[str, Any]:
    """A binding to users."""
    subjects = [{"kind": "User", "apiGroup": GROUP, "name": user} for user in users]
    return {"metadata": {"name": name}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": of}, "subjects": subjects}


async def test_a_binding_holds_from_its_answer_to_its_end(api: Api) -> None:
    """What a Role allows is allowed as soon as the binding is acknowledged, in its namespace, until it is deleted."""
    refusal = await api("GET", PODS, user="ann")
    assert (refusal.status, refusal.message) == (
        403,
        'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
    )
    await api.make(ROLE_BINDING.path("default"), binding("b", "Role", "r", "ann"))
    missing = await api("GET", PODS, user="ann")
    assert missing.message.endswith(f'in the namespace "default": RBAC: role.{GROUP} "r" not found')
    await api.make(ROLE.path("default"), role("r", READ_PODS))
    assert (await api("GET", PODS, user="ann")).status == 200
    assert (await api("GET", "/api/v1/pods", user="ann")).status == 403
    assert (await api("GET", "/api/v1/namespaces/kube-system/pods", user="ann")).status == 403
    assert (await api("DELETE", PODS, user="ann")).status == 403
    await api("DELETE", ROLE_BINDING.path("default", "b"))
    assert (await api("GET", PODS, user="ann")).status == 403


async def test_names_subresources_and_paths(api: Api) -> None:
    """Rules may name objects, subresources of every resource, and paths that are none."""
    rules = (
        {"verbs": ["get", "watch", "list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"]},
        {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*/scale"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    )
    await api.make(CLUSTER_ROLE.path(), role("r", *rules))
    await api.make(CLUSTER_ROLE_BINDING.path(), binding("b", "ClusterRole", "r", "ann"))
    maps = "/api/v1/namespaces/default/configmaps"
    await api.make(maps, config_map("mine"))
    assert (await api("GET", f"{maps}/mine", user="ann")).status == 200
    assert (await api("GET", maps, user="ann", fieldSelector="metadata.name=mine")).status == 200
    assert (await api("GET", f"{maps}/yours", user="ann")).status == 403
    assert (await api("GET", maps, user="ann")).status == 403
    deployments = "/apis/apps/v1/namespaces/default/deployments/web"
    assert (await api("GET", f"{deployments}/scale", user="ann")).status == 404
    assert (await api("GET", deployments, user="ann")).status == 403
    assert (await api("GET", "/metrics", user="ann")).status == 200
    assert (await api("GET", "/api", user="ann")).status == 200
    assert (await api("GET", "/metrics", user="bob")).message == 'forbidden: User "bob" cannot get path "/metrics"'


async def test_nobody_grants_what_they_do_not_have(api: Api) -> None:
    """Roles and bindings are refused for rights that the writer lacks, unless `escalate` or `bind` is allowed."""
    write = {"verbs": ["create", "update", "patch"], "apiGroups": [GROUP], "resources": ["roles", "rolebindings"]}
    await api.make(CLUSTER_ROLE.path(), role("keeper", write, READ_PODS))
    await api.make(CLUSTER_ROLE_BINDING.path(), binding("b", "ClusterRole", "keeper", "ann"))
    roles, bindings = ROLE.path("default"), ROLE_BINDING.path("default")
    assert (await api("POST", roles, role("same", READ_PODS), user="ann")).status == 201
    more = role("more", {**READ_PODS, "verbs": ["delete", "get", "watch"]})
    refused = await api("POST", roles, more, user="ann")
    assert refused.status == 403
    assert refused.message == (
        f'roles.{GROUP} "more" is forbidden: user "ann" (groups=["system:authenticated"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}'
    )
    await api.make(roles, more)
    for name, code in (("same", 201), ("more", 403), ("none", 404)):
        answer = await api("POST", bindings, binding(f"to-{name}", "Role", name, "bob"), user="ann")
        assert answer.status == code, answer.text
    assert (await api("POST", bindings, binding("x", "ClusterRole", "cluster-admin", "ann"), user="ann")).status == 403
    label = {"metadata": {"labels": {"a": "b"}}}
    assert (await api("PATCH", f"{roles}/more", label, media=MERGE, user="ann")).status == 200
    bind = {"verbs": ["bind"], "apiGroups": [GROUP], "resources": ["roles"], "resourceNames": ["more"]}
    await api("PATCH", CLUSTER_ROLE.path("", "keeper"), {"rules": [write, bind]}, media=MERGE)
    assert (await api("POST", bindings, binding("bound", "Role", "more", "bob"), user="ann")).status == 201
    escalate = {"verbs": ["escalate"], "apiGroups": [GROUP], "resources": ["roles"]}
    await api("PATCH", CLUSTER_ROLE.path("", "keeper"), {"rules": [write, escalate]}, media=MERGE)
    assert (await api("POST", roles, role("evil", {**READ_PODS, "verbs": ["*"]}), user="ann")).status == 201


async def test_applying_what_is_not_there_is_creating_it(api: Api) -> None:
    """Who may patch and not create applies to what is there, and is told of `create` for what is not."""
    await api.make(
        ROLE.path("default"), role("r", {"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]})
    )
    await api.make(ROLE_BINDING.path("default"), binding("b", "Role", "r", "ann"))
    maps, media = "/api/v1/namespaces/default/configmaps", "application/apply-patch+yaml"
    refused = await api("PATCH", f"{maps}/a", config_map("a"), media=media, user="ann", fieldManager="t")
    assert refused.message.startswith('configmaps "a" is forbidden: User "ann" cannot create resource "configmaps"')
    await api.make(maps, config_map("a"))
    done = await api("PATCH", f"{maps}/a", config_map("a"), media=media, user="ann", fieldManager="t")
    assert done.status == 200, done.text


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ROLE.path("default"), role("x", {"verbs": ["get"], "nonResourceURLs": ["/x"]}), "rules[0].nonResourceURLs"),
        (ROLE.path("default"), role("x", {"apiGroups": [""], "resources": ["pods"]}), "rules[0].verbs"),
        (CLUSTER_ROLE.path(), role("x", {"verbs": ["get"], "resources": ["pods"]}), "rules[0].apiGroups"),
        (CLUSTER_ROLE.path(), role("x", {"verbs": ["get"], "apiGroups": [""]}), "rules[0].resources"),
        (
            CLUSTER_ROLE.path(),
            {"metadata": {"name": "x"}, "aggregationRule": {}},
            "aggregationRule.clusterRoleSelectors",
        ),
        (CLUSTER_ROLE_BINDING.path(), binding("x", "Role", "r"), "roleRef.kind"),
        (
            CLUSTER_ROLE_BINDING.path(),
            {**binding("x", "ClusterRole", "r"), "subjects": [{"kind": "ServiceAccount", "name": "a"}]},
            "subjects[0].namespace",
        ),
        (
            ROLE_BINDING.path("default"),
            {**binding("x", "Role", "r"), "subjects": [{"kind": "Robot", "name": "a"}]},
            "subjects[0].kind",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Api, path: str, body: Any, field: str) -> None:
    """Each broken rule of a role or binding is told with its field."""
    answer = await api("POST", path, body)
    assert (answer.status, answer.fields) == (422, [field])


async def test_a_bindings_role_stays(api: Api) -> None:
    """`roleRef` can't be changed: a binding never turns into one of another role."""
    await api.make(ROLE_BINDING.path("default"), binding("b", "Role", "r", "ann"))
    change = {"roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "other"}}
    answer = await api("PATCH", ROLE_BINDING.path("default", "b"), change, media=MERGE)
    assert (answer.status, answer.fields) == (422, ["roleRef"])
    assert "cannot change roleRef" in answer.message


async def test_access_reviews(api: Api) -> None:
    """Reviews answer for oneself, for others and for a namespace, say why, and are stored nowhere."""
    await api.make(CLUSTER_ROLE.path(), role("r", READ_PODS))
    await api.make(CLUSTER_ROLE_BINDING.path(), binding("b", "ClusterRole", "r", "ann"))
    base = "/apis/authorization.k8s.io/v1"
    asked: dict[str, Any] = {
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}
    }
    mine = await api("POST", f"{base}/selfsubjectaccessreviews", asked, user="ann")
    assert (mine.status, mine.obj["status"]) == (
        201,
        {"allowed": True, "reason": 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "ann"'},
    )
    asked["spec"]["user"] = "bob"
    theirs = await api("POST", f"{base}/subjectaccessreviews", asked)
    assert theirs.obj["status"] == {"allowed": False}
    local = await api("POST", f"{base}/namespaces/default/localsubjectaccessreviews", asked)
    assert local.obj["status"] == {"allowed": False}
    wrong = await api("POST", f"{base}/namespaces/kube-system/localsubjectaccessreviews", asked)
    assert wrong.status == 400
    assert (await api("POST", f"{base}/subjectaccessreviews", asked, user="ann")).status == 403
    assert (await api("GET", f"{base}/subjectaccessreviews")).status == 405
    both = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/x"}, **asked["spec"]}}
    assert (await api("POST", f"{base}/subjectaccessreviews", both)).status == 422
    rules = await api("POST", f"{base}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, user="ann")
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in rules.obj["status"]["resourceRules"]
    assert rules.obj["status"]["incomplete"] is False


async def test_impersonation_asks_for_every_part(api: Api) -> None:
    """A user, a group, an account are impersonated by whoever may; the identity then has its own rights only."""
    rule = {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["ann"]}
    await api.make(CLUSTER_ROLE.path(), role("stage", rule))
    path = CLUSTER_ROLE_BINDING.path()
    await api.make(path, binding("stage", "ClusterRole", "stage", "system:serviceaccount:default:bot"))
    await api.make("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "bot"}})
    made = await api.make("/api/v1/namespaces/default/serviceaccounts/bot/token", {})
    token = made["status"]["token"]
    who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    info = (await api("POST", who, {}, token=token, user="ann")).obj["status"]["userInfo"]
    assert info == {"username": "ann", "groups": ["system:authenticated"]}
    refused = await api("POST", who, {}, token=token, user="bob")
    assert refused.message == (
        'users "bob" is forbidden: User "system:serviceaccount:default:bot" cannot impersonate resource "users" in API '
        'group "" at the cluster scope'
    )
    for headers in ({"Impersonate-Group": "dev"}, {"Impersonate-User": "", "Impersonate-Uid": "1"}):
        async with api.session.post(api.url + who, json={}, headers=headers) as response:
            assert response.status == 400
    account = (await api("POST", who, {}, user="system:serviceaccount:default:bot")).obj["status"]["userInfo"]
    assert account["groups"] == ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:default"]


async def test_bootstrap_roles_are_there_and_may_be_frozen(api: Api) -> None:
    """The roles that clients count on exist, marked to be kept up to date."""
    for name in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user", "system:node"):
        found = (await api("GET", CLUSTER_ROLE.path("", name))).obj
        assert found["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}, name
    admins = (await api("GET", CLUSTER_ROLE_BINDING.path("", "cluster-admin"))).obj
    assert admins["subjects"] == [{"kind": "Group", "apiGroup": GROUP, "name": "system:masters"}]
