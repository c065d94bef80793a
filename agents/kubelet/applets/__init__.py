"""The commands of a container: a small shell and the programs that people type into `kubectl exec`."""
