"""The programs by name, for compose and for several machines, and `certs`, which makes what they need to trust."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from miniplane import components, pki
from miniplane.process import main

FOLDERS = {"apiserver": "apiserver", "controllers": "controllers", "agent": "agents"}


def passthrough(command: str, argv: Sequence[str]) -> int:
    """Run a program in the foreground until SIGTERM or SIGINT; its flags are its settings."""
    if command == "certs":
        return _certs(argv)
    program = components.load(FOLDERS[command])
    return main(command, program.Settings, program.run, argv)


def _certs(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="miniplane certs", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", type=Path, required=True, help="where the CA is or will be")
    parser.add_argument(
        "--server", required=True, metavar="URL", help="the API server, as the kubeconfig files name it"
    )
    parser.add_argument("--node", action="append", default=[], metavar="NAME", help="a node; may be repeated")
    parser.add_argument("--host", action="append", default=[], help="another name or address that programs serve under")
    parser.add_argument(
        "--give",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="copy what one program needs (apiserver, controllers, admin or a node) into a folder of its own",
    )
    arguments = parser.parse_args(argv)
    pki.ensure(arguments.data_dir, server=arguments.server, nodes=arguments.node, hosts=arguments.host)
    for gift in arguments.give:
        name, _, folder = gift.partition("=")
        give(arguments.data_dir, name, Path(folder))
    print(f"certificates for {', '.join(['apiserver', 'controllers', 'admin', *arguments.node])}: {arguments.data_dir}")
    return 0


def give(data_dir: Path, name: str, folder: Path) -> None:
    """Copy one program's certificates and kubeconfig file, and the CA's certificate but never its key."""
    wanted = ["pki/ca.crt", f"pki/{name}.crt", f"pki/{name}.key"]
    if name == "apiserver":
        wanted += ["pki/kubelet-client.crt", "pki/kubelet-client.key", "pki/sa.key", "pki/sa.pub"]
    else:
        wanted += ["pki/sa.key"] if name == "controllers" else []
        wanted.append("kubeconfig" if name == "admin" else f"{name}.kubeconfig")
    (folder / "pki").mkdir(parents=True, exist_ok=True)
    for relative in wanted:
        shutil.copy2(data_dir / relative, folder / relative)
