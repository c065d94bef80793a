"""The kubelet's HTTPS server: logs, exec, attach and port-forward, as the API server asks for them."""
