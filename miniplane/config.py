"""Settings: one frozen dataclass per program, read from defaults < TOML < environment < flags.

A field's docstring (the string under it) is its help text; `describe` finds it, and a test fails where one is missing.
"""

import argparse
import ast
import dataclasses
import difflib
import inspect
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """The cluster's address plan. Every program must be given the same one."""

    pod_cidrs: tuple[str, ...] = ("10.244.0.0/16",)
    """Ranges that nodes' pod ranges are cut from, at most one per family (kube-controller-manager --cluster-cidr)."""
    node_cidr_mask: int = 24
    """Prefix length of one node's range: /24 leaves 253 pods a node (--node-cidr-mask-size)."""
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    """Ranges of ClusterIPs (--service-cluster-ip-range); the first address is the `kubernetes` Service's."""
    node_ports: tuple[int, int] = (30000, 32767)
    """First and last node port (--service-node-port-range)."""
    dns_ip: str = "10.96.0.10"
    """ClusterIP of `kube-dns`, the nameserver in pods' resolv.conf (kubelet --cluster-dns)."""
    cluster_domain: str = "cluster.local"
    """The DNS zone of the cluster (kubelet --cluster-domain)."""
    node_cidr: str = "172.30.0.0/24"
    """The nodes' own network; its first address is the outside: the user's machine and the API server."""
    load_balancer_pool: str = "172.30.0.192/26"
    """Range of load-balancer addresses, a part of the nodes' network."""


class SettingsError(ValueError):
    """A setting that is unknown or has a value of the wrong type; the message says where it came from."""


def describe(cls: type[Any]) -> dict[str, str]:
    """`{field: docstring}` of a settings class, in order; an empty string where a field has none."""
    body = ast.parse(inspect.cleandoc(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            told = after.value if isinstance(after, ast.Expr) else None
            texts[node.target.id] = inspect.cleandoc(str(told.value)) if isinstance(told, ast.Constant) else ""
    return texts


def _flatten(cls: type[Any], prefix: str = "") -> dict[str, Any]:
    """`{dotted name: type}`, nested settings opened up."""
    hints = typing.get_type_hints(cls)
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            flat |= _flatten(typing.cast(type[Any], hint), f"{prefix}{field.name}.")
        else:
            flat[prefix + field.name] = hint
    return flat


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _parse(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        real = [argument for argument in arguments if argument is not type(None)]
        return None if text == "" else _parse(text, real[0])
    if origin is typing.Literal:
        if text not in arguments:
            raise ValueError(f"must be one of {', '.join(arguments)}")
        return text
    if origin is tuple:
        return tuple(_parse(part.strip(), arguments[0]) for part in text.split(",") if part.strip())
    if hint is bool:
        return _TRUTH[text.lower()]
    return hint(text)


def _convert(name: str, value: Any, hint: Any, source: str) -> Any:
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    elif isinstance(value, bool):
        value = str(value).lower()
    try:
        return _parse(str(value), hint)
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{source}: {name}: {value!r} is no good: {error}") from error


def _unknown(name: str, known: Sequence[str], source: str) -> SettingsError:
    near = difflib.get_close_matches(name, known, n=1)
    return SettingsError(f"{source}: unknown setting {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))


def _from_toml(path: Path, flat: Mapping[str, Any], section: str) -> dict[str, Any]:
    table = tomllib.loads(path.read_text()).get(section, {})
    values: dict[str, Any] = {}

    def visit(level: Mapping[str, Any], prefix: str) -> None:
        for key, value in level.items():
            name = prefix + key.replace("-", "_")
            if isinstance(value, dict):
                visit(value, f"{name}.")
            elif name in flat:
                values[name] = _convert(name, value, flat[name], str(path))
            else:
                raise _unknown(name, list(flat), str(path))

    visit(table, "")
    return values


def _build(cls: type[S], values: Mapping[str, Any], prefix: str = "") -> S:
    arguments: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(typing.cast(Any, cls)):
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            arguments[field.name] = _build(typing.cast(type[Any], hint), values, f"{name}.")
        elif name in values:
            arguments[field.name] = values[name]
    return cls(**arguments)


def parser(cls: type[Any], program: str) -> argparse.ArgumentParser:
    """The flags of a program: `--field-name`, nested ones `--network-pod-cidrs`; help is the fields' docstrings."""
    made = argparse.ArgumentParser(prog=f"miniplane {program}", description=inspect.getdoc(cls), allow_abbrev=False)
    made.add_argument("--config", type=Path, help=f"a TOML file with a table [{program}]")
    texts = _texts(cls)
    for name, hint in _flatten(cls).items():
        flag = "--" + name.replace(".", "-").replace("_", "-")
        if hint is bool:
            made.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, default=None, help=texts[name])
        else:
            made.add_argument(flag, dest=name, default=None, metavar="VALUE", help=texts[name].replace("%", "%%"))
    return made


def _texts(cls: type[Any], prefix: str = "") -> dict[str, str]:
    hints = typing.get_type_hints(cls)
    texts: dict[str, str] = {}
    for name, text in describe(cls).items():
        if dataclasses.is_dataclass(hints.get(name)):
            texts |= _texts(typing.cast(type[Any], hints[name]), f"{prefix}{name}.")
        else:
            texts[prefix + name] = text
    return texts


def load(cls: type[S], argv: Sequence[str] = (), *, program: str, environ: Mapping[str, str] | None = None) -> S:
    """The settings of `program`: defaults, then `--config` TOML, then `MINIPLANE_<PROGRAM>_<FIELD>`, then flags.

    Raises SettingsError naming the source of a bad or unknown value; argparse exits on unknown flags, as usual.
    """
    environ = os.environ if environ is None else environ
    flat = _flatten(cls)
    given = vars(parser(cls, program).parse_args(list(argv)))
    values: dict[str, Any] = {}
    if path := given.pop("config"):
        values |= _from_toml(path, flat, program)
    prefix = f"MINIPLANE_{program.upper()}_"
    names = {prefix + name.replace(".", "_").upper(): name for name in flat}
    for variable, text in environ.items():
        if variable.startswith(prefix):
            if variable not in names:
                raise _unknown(variable, list(names), "environment")
            values[names[variable]] = _convert(names[variable], text, flat[names[variable]], variable)
    for name, value in given.items():
        if value is not None:
            values[name] = _convert(name, value, flat[name], "--" + name.replace(".", "-").replace("_", "-"))
    return _build(cls, values)


def to_flags(settings: Any) -> list[str]:
    """The flags that make `load` return an equal settings object; what is at its default is left out."""
    flags: list[str] = []

    def visit(level: Any, prefix: str) -> None:
        for field in dataclasses.fields(level):
            value, default = getattr(level, field.name), field.default
            if dataclasses.is_dataclass(value):
                visit(value, f"{prefix}{field.name}-")
            elif value != default:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
                flags.append(f"--{prefix}{field.name}".replace("_", "-") + (f"={text}" if value is not True else ""))

    visit(settings, "")
    return flags
