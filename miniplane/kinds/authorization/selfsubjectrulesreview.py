"""SelfSubjectRulesReview: what may I do in this namespace? Answered on creation and stored nowhere.

Upstream: authorization.k8s.io/v1; page "Authorization", section "Checking API access".
"""

from miniplane.api.kind import Kind, Scope

SELF_SUBJECT_RULES_REVIEW = Kind(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    verbs=("create",),
    answered=True,
)
