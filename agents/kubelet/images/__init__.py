"""What runs in a container: servers that the agent itself answers for, on sockets inside the pod's network."""
