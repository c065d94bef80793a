"""Who asks, and whether they may. Knows nothing of HTTP beyond what a caller hands in."""
