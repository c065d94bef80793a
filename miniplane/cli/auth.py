"""`auth can-i` and `auth whoami`: the server's answer to what we may do and who we are."""

import argparse

from miniplane.api.kind import Object, Registry
from miniplane.cli import printers
from miniplane.cli.session import add_connection, connect
from miniplane.client import Client, discover
from miniplane.kinds import SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW, SELF_SUBJECT_RULES_REVIEW


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, as kubectl's."""
    parser.add_argument("question", choices=("can-i", "whoami"))
    parser.add_argument("words", nargs="*", metavar="VERB KIND[/NAME] | VERB /PATH")
    parser.add_argument("-q", "--quiet", action="store_true", help="can-i: no output, only the exit code")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="can-i: in all namespaces")
    parser.add_argument("--subresource", default="", help="can-i: of a subresource, such as log")
    parser.add_argument("--list", action="store_true", help="can-i: all that we may do in the namespace")
    parser.add_argument("-o", "--output", default="", choices=("", "yaml", "json"), help="whoami: as a document")
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Ask; `can-i` exits with 1 where the answer is no."""
    if given.question == "whoami":
        return connect(given, lambda client, _: _whoami(client, given.output))
    if given.list:
        return connect(given, _rules)
    if len(given.words) not in (2, 3):
        raise ValueError("you must specify two arguments: verb resource or verb resource/resourceName")
    return connect(given, lambda client, namespace: _can_i(client, namespace, given))


async def _whoami(client: Client, form: str) -> int:
    review = await client.create(SELF_SUBJECT_REVIEW, _review("SelfSubjectReview", "authentication", {}))
    if form:
        print(printers.whole([review], form, single=True))
        return 0
    user = review["status"]["userInfo"]
    rows = [["ATTRIBUTE", "VALUE"], ["Username", user.get("username", "")]]
    rows += [["UID", user["uid"]]] if user.get("uid") else []
    rows += [["Groups", f"[{' '.join(user['groups'])}]"]] if user.get("groups") else []
    rows += [[f"Extra: {key}", f"[{' '.join(value)}]"] for key, value in sorted((user.get("extra") or {}).items())]
    print("\n".join(printers.aligned(rows)))
    return 0


def _review(kind: str, group: str, spec: Object) -> Object:
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "metadata": {}, "spec": spec}


async def _can_i(client: Client, namespace: str, given: argparse.Namespace) -> int:
    spec = _question(await discover(client), given, "" if given.all_namespaces else namespace)
    review = _review("SelfSubjectAccessReview", "authorization", spec)
    status = (await client.create(SELF_SUBJECT_ACCESS_REVIEW, review))["status"]
    if not given.quiet:
        why = f" - {status['reason']}" if status.get("reason") and not status["allowed"] else ""
        print(f"{'yes' if status['allowed'] else 'no'}{why}")
    return 0 if status["allowed"] else 1


def _question(known: Registry, given: argparse.Namespace, namespace: str) -> Object:
    verb, what = given.words[:2]
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    word, _, name = what.partition("/")
    asked: Object = {"verb": verb, "namespace": namespace, "resource": word, "subresource": given.subresource}
    if (kind := known.find(word)) is not None:
        asked |= {"group": kind.group, "resource": kind.plural, "namespace": namespace if kind.namespaced else ""}
    elif "." in word:
        asked["resource"], _, asked["group"] = word.partition(".")
    named = name or (given.words[2] if len(given.words) > len(("verb", "kind")) else "")
    return {"resourceAttributes": {key: value for key, value in {**asked, "name": named}.items() if value}}


async def _rules(client: Client, namespace: str) -> int:
    review = _review("SelfSubjectRulesReview", "authorization", {"namespace": namespace})
    status = (await client.create(SELF_SUBJECT_RULES_REVIEW, review))["status"]
    rows = [["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]]
    for rule in status.get("resourceRules") or ():
        groups = rule.get("apiGroups") or [""]
        names = [
            f"{resource}.{group}" if group else resource for resource in rule.get("resources") or () for group in groups
        ]
        rows += [[name, "[]", _list(rule.get("resourceNames")), _list(rule["verbs"])] for name in names]
    for rule in status.get("nonResourceRules") or ():
        rows.append(["", _list(rule.get("nonResourceURLs")), "[]", _list(rule["verbs"])])
    print("\n".join(printers.aligned(rows)))
    return 0


def _list(words: list[str] | None) -> str:
    return f"[{' '.join(words or ())}]"
