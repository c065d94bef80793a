"""ReplicaSet: as many pods as wanted, by `replicas`."""

from miniplane.kinds import POD, REPLICA_SET
from miniplane.runtime import On

from .podkeeping import controller_index
from .replicas import Replicas


def controller() -> On:
    """The controller."""
    on, replicas = On("replicaset"), Replicas(REPLICA_SET)
    on.index(POD, "controller", controller_index)
    # A rest, for each of many pods that start or end together changes the status.
    also = [on.owned(POD), on.mapped(POD, replicas.keeper.adopters)]
    on.reconcile(REPLICA_SET, also=also, rest=3)(replicas.reconcile)
    return on
