"""ValidatingWebhookConfiguration: who is asked whether a request may pass.

Upstream: admissionregistration.k8s.io/v1; page "Dynamic Admission Control".
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.kinds.webhooks import WEBHOOK_COLUMNS, default_webhooks, webhook_errors

VALIDATING_WEBHOOK_CONFIGURATION = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingWebhookConfiguration",
    plural="validatingwebhookconfigurations",
    scope=Scope.CLUSTER,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    columns=WEBHOOK_COLUMNS,
    defaults=default_webhooks,
    strategy=Strategy(
        validate=lambda configuration, _old: webhook_errors(configuration, mutating=False), counts_generation=True
    ),
)
