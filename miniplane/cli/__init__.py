"""The command line: kubectl-like commands and our own."""
