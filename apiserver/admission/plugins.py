"""The admission plugins in the order in which they are asked: upstream's own.

Escalation (RBAC) and the quotas need what a server has only when it is composed: `app.py` puts them last.
"""

from . import (
    ingressclass,
    limitranger,
    namespaces,
    noderestriction,
    podsecurity,
    policies,
    priority,
    runtimeclass,
    serviceaccounts,
    storageclass,
    tolerations,
    webhooks,
)

PLUGINS = (
    namespaces.PLUGIN,
    limitranger.PLUGIN,
    serviceaccounts.PLUGIN,
    noderestriction.PLUGIN,
    podsecurity.PODS,
    podsecurity.WORKLOADS,
    podsecurity.NAMESPACES,
    priority.PODS,
    priority.KEPT,
    priority.CLASSES,
    tolerations.PLUGIN,
    storageclass.PLUGIN,
    runtimeclass.PLUGIN,
    ingressclass.PLUGIN,
    policies.SYNTAX,
    policies.ACTIONS,
    webhooks.SYNTAX,
)
