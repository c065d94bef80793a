"""A Kubernetes control plane in Python: the real API, real packets, every hop explained.

The kernel package: everything that has a meaning outside one process. Its layers, each importing only those below:

    cli · testing                        commands, the pytest plugin; they find programs through `components`
    runtime                              the reconciler: informers, work queues, controllers
    client     kinds     dataplane       HTTP client · the kinds · the network compiler; they do not know each other
    api                                  API machinery, pure
    errors · config · aio · observe · pki · components
"""

__version__ = "0.1.0"
