"""The reconciler: informers, work queues, controllers."""
