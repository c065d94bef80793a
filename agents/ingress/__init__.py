"""The ingress proxy: which backend a request goes to (`routes`), and the server that takes it there (`server`)."""
