"""The kinds: one declarative file each, and the one ordered list of them."""
