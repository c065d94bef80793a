"""The pod spec: what Pod and every pod template share. Its defaults, its rules, its warnings."""
