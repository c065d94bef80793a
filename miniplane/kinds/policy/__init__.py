"""policy.networking.k8s.io: policies of the whole cluster."""
