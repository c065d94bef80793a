"""A node's network: pod links and addresses, and the way of bytes between pods, nodes and outside."""
