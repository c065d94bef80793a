"""One file per middleware; `apiserver.app` holds their order."""
