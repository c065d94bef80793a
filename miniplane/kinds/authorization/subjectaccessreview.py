"""SubjectAccessReview: may this user do that? Answered on creation and stored nowhere.

Upstream: authorization.k8s.io/v1; page "Authorization", section "Checking API access".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.validation import FieldError
from miniplane.kinds.authorization.attributes import subject_errors
from miniplane.kinds.fields import section


def validate(review: Object, _old: Object | None) -> Sequence[FieldError]:
    """It says who, and one thing to do."""
    return list(subject_errors(section(review, "spec")))


SUBJECT_ACCESS_REVIEW = Kind(
    group="authorization.k8s.io",
    version="v1",
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.authorization.v1.SubjectAccessReview",
    strategy=Strategy(validate=validate),
    verbs=("create",),
    answered=True,
)
