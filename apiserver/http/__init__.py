"""HTTP: turns a request into (identity, verb, resource, options, body) and a result into bytes.

Knows nothing about any kind; the registry says what a verb means.
"""
