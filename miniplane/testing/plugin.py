"""The pytest plugin: the `cluster` fixture for tests that need a Kubernetes API."""
