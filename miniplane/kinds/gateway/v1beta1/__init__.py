"""The same kinds in their older version: stored and shown alike."""
