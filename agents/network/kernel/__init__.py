"""The kernel's data path: private network namespaces, routed links, real sockets (docs/adr/0009)."""
