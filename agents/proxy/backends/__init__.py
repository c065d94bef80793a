"""The data paths that rules can be given to."""
