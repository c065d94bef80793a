"""`operator FILE.py`: run the registrars that a file makes, as `kopf run` does."""

import argparse
import importlib.util
import sys
from pathlib import Path

from miniplane.api.meta import Key
from miniplane.observe import logs
from miniplane.runtime import On, Operator
from miniplane.runtime import run as run_registrars


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("file", type=Path, metavar="FILE.py", help="a module with one or more `on = On(…)`")
    parser.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, then ~/.kube/config")
    parser.add_argument("--context", default="", help="the context of the kubeconfig file")
    parser.add_argument("--dry-run", action="store_true", help="let the server check every write and keep none")
    parser.add_argument(
        "--lease", metavar="NAMESPACE/NAME", help="work only while holding this Lease, where several processes run"
    )
    parser.add_argument("--metrics-port", type=int, help="serve /metrics, /healthz and /readyz there on loopback")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", default="text", choices=("text", "json"))


def load(file: Path) -> list[On]:
    """The registrars that are global names of a file. Raises ValueError if there are none."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ValueError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, On)]
    if not found:
        raise ValueError(f'{file} makes no registrar: say `on = On("a-name")` at its top level')
    return found


def run(given: argparse.Namespace) -> int:
    """Run until stopped."""
    logs.configure(given.log_level, given.log_format)
    registrars = load(given.file)
    lease = None
    if given.lease:
        namespace, slash, name = given.lease.partition("/")
        if not (namespace and slash and name):
            raise ValueError(f"--lease {given.lease}: want NAMESPACE/NAME")
        lease = Key(namespace, name)
    how = Operator(
        kubeconfig=given.kubeconfig,
        context=given.context,
        lease=lease,
        dry_run=given.dry_run,
        metrics_port=given.metrics_port,
    )
    log = logs.get("miniplane.operator")
    names = ", ".join(on.name for on in registrars)
    run_registrars(*registrars, how=how, ready=lambda: log.info("ready", operators=names))
    return 0
