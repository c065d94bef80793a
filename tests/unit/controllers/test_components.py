"""Events name the component that tells them as upstream does: clients and people look for it."""

from controllers.manager import CONTROLLERS
from controllers.settings import Settings


def test_components() -> None:
    """Each controller has upstream's component name, where upstream has that controller."""
    components = {on.name: on.component for on in (make(Settings()) for make in CONTROLLERS)}
    expected = {
        "scheduler": "default-scheduler",
        "deployment": "deployment-controller",
        "replicaset": "replicaset-controller",
        "endpointslice": "endpoint-slice-controller",
        "endpoints": "endpoint-controller",
        "nodeipam": "cidrAllocator",
        "loadbalancer": "service-controller",
        "ingress": "ingress-controller",
    }
    assert expected.items() <= components.items()
