"""The revision log behind the API server: the only place with state, and the only one with SQL."""
