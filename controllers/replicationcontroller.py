"""ReplicationController: as many pods as wanted, by `replicas`; the elder of the ReplicaSet."""

from miniplane.kinds import POD, REPLICATION_CONTROLLER
from miniplane.runtime import On

from .podkeeping import controller_index
from .replicas import Replicas


def controller() -> On:
    """The controller."""
    on = On("replicationcontroller", component="replication-controller")
    replicas = Replicas(REPLICATION_CONTROLLER)
    on.index(POD, "controller", controller_index)
    also = [on.owned(POD), on.mapped(POD, replicas.keeper.adopters)]
    on.reconcile(REPLICATION_CONTROLLER, also=also)(replicas.reconcile)
    return on
