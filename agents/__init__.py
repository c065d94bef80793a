"""The node agent: kubelet (pods, probes, status, lease), proxy (rules, data path), DNS and ingress as pods on it."""
