"""Metrics of work queues and reconciles, under the names that upstream's dashboards know.

Every component makes its own registry; every label value that exists is there from the start, at zero.
"""

from miniplane.observe.metrics import CollectorRegistry, Counter, Gauge, Histogram

RESULTS = ("success", "requeue_after", "error", "terminal_error")
_SECONDS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


class QueueMetrics:
    """The series of one work queue."""

    def __init__(self, name: str, family: "RuntimeMetrics") -> None:
        self.depth = family.depth.labels(name=name)
        self.adds = family.adds.labels(name=name)
        self.waiting_s = family.waiting_s.labels(name=name)
        self.working_s = family.working_s.labels(name=name)
        self.retries = family.retries.labels(name=name)
        self.unfinished_s = family.unfinished_s.labels(name=name)
        self.longest_s = family.longest_s.labels(name=name)


class ControllerMetrics:
    """The series of one controller."""

    def __init__(self, name: str, family: "RuntimeMetrics") -> None:
        self.results = {word: family.reconciles.labels(controller=name, result=word) for word in RESULTS}
        self.errors = family.errors.labels(controller=name)
        self.took_s = family.took_s.labels(controller=name)


class RuntimeMetrics:
    """The families, registered once per component."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["name"], registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, label: str) -> Histogram:
            return Histogram(name, text, [label], registry=registry, buckets=_SECONDS)

        self.depth = gauge("workqueue_depth", "Keys that wait for work")
        self.adds = counter("workqueue_adds_total", "Keys added", "name")
        self.retries = counter("workqueue_retries_total", "Keys added again after a failure", "name")
        self.waiting_s = histogram("workqueue_queue_duration_seconds", "How long a key waited", "name")
        self.working_s = histogram("workqueue_work_duration_seconds", "How long a key was in work", "name")
        self.unfinished_s = gauge("workqueue_unfinished_work_seconds", "Seconds of work in progress, in all")
        self.longest_s = gauge("workqueue_longest_running_processor_seconds", "Seconds of the oldest work in progress")
        self.reconciles = counter("controller_runtime_reconcile_total", "Reconciles by result", "controller", "result")
        self.errors = counter("controller_runtime_reconcile_errors_total", "Reconciles that failed", "controller")
        self.took_s = histogram("controller_runtime_reconcile_time_seconds", "How long a reconcile took", "controller")
