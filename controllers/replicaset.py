"""ReplicaSet: as many pods as wanted, by `replicas`."""

from miniplane.kinds import POD, REPLICA_SET
from miniplane.runtime import On

from .podkeeping import controller_index
from .replicas import Replicas


def controller() -> On:
    """The controller."""
    on, replicas = On("replicaset"), Replicas(REPLICA_SET)
    on.index(POD, "controller", controller_index)
    on.reconcile(REPLICA_SET, also=[on.owned(POD), on.mapped(POD, replicas.keeper.adopters)])(replicas.reconcile)
    return on
