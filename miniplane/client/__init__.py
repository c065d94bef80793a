"""The only HTTP client of the API: requests as values, a client that sends them, watches as a state machine."""

from miniplane.client.client import Client
from miniplane.client.discovery import discover
from miniplane.client.kubeconfig import Access, KubeconfigError
from miniplane.client.requests import Page, PatchType, Request, Selection
from miniplane.client.watch import Apply, Bookmark, Delete, Init, InitApply, InitDone, WatchEvent, watch

__all__ = [
    "Access",
    "Apply",
    "Bookmark",
    "Client",
    "Delete",
    "Init",
    "InitApply",
    "InitDone",
    "KubeconfigError",
    "Page",
    "PatchType",
    "Request",
    "Selection",
    "WatchEvent",
    "discover",
    "watch",
]
