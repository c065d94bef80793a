"""The admission plugins in the order in which they are asked: upstream's own."""

from . import ingressclass, namespaces, noderestriction, serviceaccounts, tolerations

PLUGINS = (
    namespaces.PLUGIN,
    serviceaccounts.PLUGIN,
    tolerations.PLUGIN,
    ingressclass.PLUGIN,
    noderestriction.PLUGIN,
)
