"""The user-space data path: the program goes into the machine that the node's virtual network asks."""

from miniplane.config import Network
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.evaluate import Machine
from miniplane.dataplane.program import Program
from miniplane.dataplane.snapshot import Snapshot


def new_machine(node: str, network: Network) -> Machine:
    """A machine that knows of no objects yet: nothing is routed before the proxy's first program."""
    nothing = Snapshot.build(node, network, nodes=(), pods=(), services=(), slices=(), policies=(), namespaces=())
    return Machine(Compiler().compile(nothing))


class UserspaceBackend:
    """See `Backend`. Connections that stand are not touched by new rules."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def apply(self, program: Program) -> None:
        """See `Backend`."""
        self._machine.replace(program)
