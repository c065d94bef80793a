"""The flags that say where a server is, for commands that may do without one."""

import argparse
from pathlib import Path


def add_connection(parser: argparse.ArgumentParser, *, namespace: bool = True) -> None:
    """The flags that say where the server is and, if wanted, which namespace is meant."""
    parser.add_argument("--kubeconfig", type=Path, help="a kubeconfig file (default: $KUBECONFIG, the local cluster's)")
    parser.add_argument("--context", default="", help="a context of the kubeconfig file")
    if namespace:
        parser.add_argument("-n", "--namespace", default="", help="the namespace (default: the context's)")
