"""The service proxy: the cluster's state, compiled to this node's rules, given to a data path."""
