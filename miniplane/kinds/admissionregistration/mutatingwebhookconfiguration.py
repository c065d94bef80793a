"""MutatingWebhookConfiguration: who may change objects on their way in.

Upstream: admissionregistration.k8s.io/v1; page "Dynamic Admission Control".
"""

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.kinds.fields import entries, fill
from miniplane.kinds.webhooks import WEBHOOK_COLUMNS, default_webhooks, webhook_errors


def defaults(configuration: Object) -> None:
    """As the validating ones, and asked once."""
    default_webhooks(configuration)
    for webhook in entries(configuration, "webhooks"):
        fill(webhook, reinvocationPolicy="Never")


MUTATING_WEBHOOK_CONFIGURATION = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="MutatingWebhookConfiguration",
    plural="mutatingwebhookconfigurations",
    scope=Scope.CLUSTER,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    columns=WEBHOOK_COLUMNS,
    defaults=defaults,
    strategy=Strategy(
        validate=lambda configuration, _old: webhook_errors(configuration, mutating=True), counts_generation=True
    ),
)
