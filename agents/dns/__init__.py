"""Cluster DNS: what names mean (`directory`, `records`) and the server that says so (`server`, `image`)."""
