"""The scheduler: filters and scores, pure, and the loop that binds."""
