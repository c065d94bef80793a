"""The pytest plugin and helpers that users get."""
