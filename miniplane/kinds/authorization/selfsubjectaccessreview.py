"""SelfSubjectAccessReview: may I do that? Answered on creation and stored nowhere.

Upstream: authorization.k8s.io/v1; page "Authorization", section "Checking API access".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.validation import FieldError
from miniplane.kinds.authorization.attributes import attributes_errors
from miniplane.kinds.fields import section


def validate(review: Object, _old: Object | None) -> Sequence[FieldError]:
    """It says one thing to do."""
    return list(attributes_errors(section(review, "spec")))


SELF_SUBJECT_ACCESS_REVIEW = Kind(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    strategy=Strategy(validate=validate),
    verbs=("create",),
    answered=True,
)
