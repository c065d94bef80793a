"""Metrics: prometheus-client, with a registry per component instead of the process-wide one.

Several components may live in one process, so nobody uses the library's global registry.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "CollectorRegistry", "Counter", "Gauge", "Histogram", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(registry: CollectorRegistry) -> bytes:
    """All metrics of a component as text."""
    return generate_latest(registry)
