"""SelfSubjectReview: who am I? Answered on creation and stored nowhere.

Upstream: authentication.k8s.io/v1; page "Authenticating".
"""

from miniplane.api.kind import Kind, Scope

SELF_SUBJECT_REVIEW = Kind(
    group="authentication.k8s.io",
    version="v1",
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.authentication.v1.SelfSubjectReview",
    verbs=("create",),
    answered=True,
)
