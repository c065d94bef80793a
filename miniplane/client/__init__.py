"""The only HTTP client: requests without I/O, the client, the watch, kubeconfig files."""
