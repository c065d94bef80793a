"""TokenReview: whose token is this? Answered on creation and stored nowhere.

Upstream: authentication.k8s.io/v1; page "Authenticating".
"""

from miniplane.api.kind import Kind, Scope

TOKEN_REVIEW = Kind(
    group="authentication.k8s.io",
    version="v1",
    kind="TokenReview",
    plural="tokenreviews",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.authentication.v1.TokenReview",
    verbs=("create",),
    answered=True,
)
