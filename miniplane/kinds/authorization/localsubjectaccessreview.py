"""LocalSubjectAccessReview: may this user do that in this namespace? Answered on creation and stored nowhere.

Upstream: authorization.k8s.io/v1; page "Authorization", section "Checking API access".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.validation import FieldError
from miniplane.kinds.authorization.attributes import local_errors
from miniplane.kinds.fields import section


def validate(review: Object, _old: Object | None) -> Sequence[FieldError]:
    """It says who, and one thing to do with a resource."""
    return list(local_errors(section(review, "spec")))


LOCAL_SUBJECT_ACCESS_REVIEW = Kind(
    group="authorization.k8s.io",
    version="v1",
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    strategy=Strategy(validate=validate),
    verbs=("create",),
    answered=True,
)
