"""`miniplane`: finds the command, and turns what went wrong into a message and an exit code.

A command's module is imported only when it is chosen, so `miniplane --version` does not pay for an HTTP client. Each
module has `arguments(parser)` and `run(arguments) -> int`, with the command's name in `arguments.command`.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from miniplane import __version__
from miniplane.cli import failures
from miniplane.errors import ApiError


class Command(NamedTuple):
    """A line of the command table: the module that has it and what `--help` says."""

    name: str
    module: str
    help: str


GROUPS: dict[str, tuple[Command, ...]] = {
    "a local cluster": (
        Command("up", "local", "start a cluster: API server, controllers and node agents as processes"),
        Command("down", "local", "stop it; its state stays"),
        Command("status", "local", "show what runs and where to reach it"),
        Command("reset", "local", "stop it and forget its state"),
        Command("demo", "demo.story", "tell the seed's story on a cluster that is up, checking every claim"),
    ),
    "as kubectl": (
        Command("get", "get", "list or show objects"),
        Command("describe", "describe", "show an object in words, with its events"),
        Command("apply", "apply", "create or update objects from manifests"),
        Command("create", "apply", "create objects from manifests"),
        Command("delete", "delete", "delete objects"),
        Command("replace", "replace", "replace objects by manifests, whole"),
        Command("patch", "patch", "change a part of an object"),
        Command("label", "label", "set or remove labels"),
        Command("annotate", "label", "set or remove annotations"),
        Command("scale", "scale", "set the number of replicas"),
        Command("rollout", "rollout", "status, history, undo, restart, pause or resume of a workload"),
        Command("wait", "wait", "wait until objects are as they are to be"),
        Command("run", "run", "make a pod of one image"),
        Command("expose", "run", "make a Service for what runs"),
        Command("cordon", "nodes", "keep new pods off a node"),
        Command("uncordon", "nodes", "let it take pods again"),
        Command("drain", "nodes", "cordon a node and evict its pods"),
        Command("taint", "taint", "put taints on nodes or take them off"),
        Command("logs", "logs", "print a container's log"),
        Command("exec", "exec", "run a command in a container"),
        Command("auth", "auth", "ask what you may do and who you are: can-i, whoami"),
        Command("api-resources", "resources", "list the kinds that the server has"),
        Command("api-versions", "versions", "list the groups and versions that the server has"),
        Command("version", "versions", "tell our version and the server's"),
    ),
    "the network, explained": (
        Command("trace", "trace", "explain the path of a packet, hop by hop"),
        Command("reach", "reach", "tell who can talk to whom, check expectations, compare"),
        Command("lint", "lint", "find what leads nowhere or never matters: lint network"),
        Command("haproxy", "haproxy", "print the routes of Ingresses or of a Gateway for HAProxy"),
        Command("tables", "tables", "show a node's compiled rules, as nft text or in words"),
        Command("shell", "shell", "look around in the network of a pod or a node: shell POD -- ip route"),
    ),
    "the programs": (
        Command("apiserver", "programs", "run the API server"),
        Command("controllers", "programs", "run the controllers"),
        Command("agent", "programs", "run a node's agent"),
        Command("operator", "operator", "run an operator of your own, written with miniplane.runtime"),
        Command("certs", "programs", "make a cluster's certificates and kubeconfig files"),
    ),
}


KUBECTL_ONLY = (
    *("attach", "autoscale", "certificate", "cluster-info", "completion", "config", "cp", "debug", "diff"),
    *("edit", "events", "explain", "kustomize", "plugin", "port-forward", "proxy", "set", "top"),
)
"""kubectl's words that are not ours: they work with kubectl on the same kubeconfig."""


class _Parser(argparse.ArgumentParser):
    """Bad usage exits with 1 and kubectl's prefix, not with argparse's 2."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse says NoReturn, and so it is
        self.print_usage(sys.stderr)
        self.exit(1, f"error: {message}\n")


def _overview() -> str:
    lines = ["usage: miniplane COMMAND ...", "", "A Kubernetes control plane in Python.", ""]
    for title, commands in GROUPS.items():
        lines += [f"{title}:", *(f"  {command.name:<15}{command.help}" for command in commands), ""]
    return "\n".join([*lines, "miniplane COMMAND --help tells more."])


def _unknown(word: str) -> str:
    if word in KUBECTL_ONLY:
        return f"miniplane has no {word!r} of its own: use kubectl {word} with the same kubeconfig (miniplane status)"
    return f'unknown command "{word}"; miniplane --help lists them'


def _dispatch(argv: Sequence[str]) -> int:
    commands = {command.name: command for group in GROUPS.values() for command in group}
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if argv[0] == "--version":
        print(f"miniplane {__version__}")
        return 0
    command = commands.get(argv[0])
    if command is None:
        print(f"error: {_unknown(argv[0])}", file=sys.stderr)
        return 1
    module = importlib.import_module(f"miniplane.cli.{command.module}")
    if hasattr(module, "passthrough"):
        return int(module.passthrough(command.name, argv[1:]))
    parser = _Parser(prog=f"miniplane {command.name}", description=command.help)
    parser.set_defaults(command=command.name)
    module.arguments(parser)
    rest = list(argv[1:])
    words, after = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else (rest, [])
    arguments = parser.parse_intermixed_args(words)
    arguments.after = after
    return int(module.run(arguments))


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Exit codes as kubectl: 0 done, 1 failed; `exec` gives the remote command's own."""
    try:
        return _dispatch(sys.argv[1:] if argv is None else argv)
    except ApiError as error:
        print(failures.told(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: leave without a word
        return 0
    except (ValueError, LookupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
