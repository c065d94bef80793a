"""The node agent: kubelet (pods, probes, status, lease), proxy (rules, data path), DNS and ingress as pods on it.

`node` composes; `kubelet/` makes pods real, `proxy/` compiles the node's rules, `network/` carries the bytes, `dns/`
and `ingress/` are images that pods run.
"""

from .network.kernel.places import enter_place
from .network.kernel.underlay import hold, why_not
from .node import run
from .settings import Settings

__all__ = ["Settings", "enter_place", "hold", "run", "why_not"]
