"""Answers questions that come as objects: access reviews, token reviews, "who am I".

The body passes the same decoding and validation as what is stored; the answer is the object with its status.
"""

from collections.abc import Callable, Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.errors import bad_request

from ..auth.authenticator import Authenticator
from ..auth.authorizer import Authorizer
from ..auth.identity import Action, User
from .decoding import Decoder
from .pipeline import refuse
from .request import Body, Target, WriteOptions

_Answer = Callable[[Target, Object], Object]


class Reviews:
    """Answers them, by kind."""

    def __init__(self, decoder: Decoder, authorizer: Authorizer, authenticator: Authenticator) -> None:
        self._decoder = decoder
        self._authorizer = authorizer
        self._authenticator = authenticator
        self._answers: Mapping[str, _Answer] = {
            "SubjectAccessReview": lambda _, review: self._access(_subject(review["spec"]), review["spec"]),
            "LocalSubjectAccessReview": self._local,
            "SelfSubjectAccessReview": lambda target, review: self._access(target.user, review["spec"]),
            "SelfSubjectRulesReview": self._rules,
            "SelfSubjectReview": lambda target, _: {"userInfo": target.user.info},
            "TokenReview": self._token,
        }

    def answer(self, target: Target, body: Body, options: WriteOptions, warnings: list[str]) -> Object:
        """The question with the answer in its status.

        Raises:
            ApiError: BadRequest, Invalid.
        """
        kind = target.kind
        review = self._decoder.decode(kind, body, options.field_validation, warnings)
        meta = review["metadata"]
        if kind.namespaced:
            if meta.get("namespace") not in (None, "", target.namespace):
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = target.namespace
        review.setdefault("spec", {})
        refuse(kind, "", kind.strategy.validate(review, None))
        meta.setdefault("creationTimestamp", None)
        review["status"] = self._answers[kind.kind](target, review)
        return review

    def _access(self, user: User, spec: Object) -> Object:
        decision = self._authorizer.decide(user, _action(spec))
        status: Object = {"allowed": decision.allowed}
        return status | ({"reason": decision.reason} if decision.reason else {})

    def _local(self, target: Target, review: Object) -> Object:
        attributes = review["spec"].get("resourceAttributes") or {}
        given = attributes.setdefault("namespace", target.namespace)
        if given != target.namespace:
            raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {target.namespace}")
        return self._access(_subject(review["spec"]), review["spec"])

    def _rules(self, target: Target, review: Object) -> Object:
        namespace = review["spec"].get("namespace") or ""
        if not namespace:
            raise bad_request("no namespace on request")
        held = self._authorizer.rules(target.user, namespace)
        errors = self._authorizer.rbac.errors(target.user, namespace)
        status: Object = {
            "resourceRules": [rule.to_json() for rule in held if not rule.urls],
            "nonResourceRules": [rule.to_json() for rule in held if rule.urls],
            "incomplete": bool(target.user.node or errors),
        }
        texts = ["node authorizer does not support user rule resolution"] if target.user.node else []
        texts += [error.message for error in errors]
        return status | ({"evaluationError": ", ".join(texts)} if texts else {})

    def _token(self, _target: Target, review: Object) -> Object:
        spec = review["spec"]
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        found = self._authenticator.review(spec["token"], spec.get("audiences") or ())
        if isinstance(found, str):
            return {"user": {}, "error": found}
        status: Object = {"authenticated": True, "user": found.user.info}
        return status | ({"audiences": list(found.audiences)} if found.audiences else {})


def _action(spec: Any) -> Action:
    if about := spec.get("nonResourceAttributes"):
        return Action(about.get("verb", ""), path=about.get("path", ""))
    keys = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Action(*((spec.get("resourceAttributes") or {}).get(key, "") for key in keys))


def _subject(spec: Any) -> User:
    extra = tuple((key.lower(), tuple(values)) for key, values in (spec.get("extra") or {}).items())
    return User(spec.get("user", ""), frozenset(spec.get("groups") or ()), spec.get("uid", ""), extra)
