"""Logs, metrics, health and request ids."""
