"""Settings come from defaults, TOML, environment and flags, in that order, and unknown ones are refused."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from miniplane import config


@dataclass(frozen=True, slots=True)
class Toy:
    """A program with three settings."""

    port: int = 1
    """Where it listens."""
    token: str | None = None
    """None means nobody gets in."""
    loud: bool = False
    """Whether it shouts."""
    network: config.Network = field(default_factory=config.Network)
    """The address plan."""


def load(argv: list[str] | None = None, **environ: str) -> Toy:
    """Load with nothing but what the test gives."""
    return config.load(Toy, argv or [], program="toy", environ=environ)


def test_later_sources_win(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file, which beats the default."""
    file = tmp_path / "toy.toml"
    file.write_text('[toy]\nport = 2\ntoken = "file"\nloud = true\n')
    loaded = load(["--config", str(file), "--port", "4"], MINIPLANE_TOY_PORT="3", MINIPLANE_TOY_TOKEN="env")
    assert loaded == Toy(port=4, token="env", loud=True)


def test_nested_and_list_values() -> None:
    """A nested field has a dashed flag, and tuples are separated by commas."""
    loaded = load(["--network-pod-cidrs", "10.1.0.0/16,fd00::/48", "--network-node-ports=30000,30010"])
    assert loaded.network.pod_cidrs == ("10.1.0.0/16", "fd00::/48")
    assert loaded.network.node_ports == (30000, 30010)


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    """A misspelt setting is an error that names the nearest one."""
    file = tmp_path / "toy.toml"
    file.write_text("[toy]\nprot = 2\n")
    with pytest.raises(config.SettingsError, match="did you mean 'port'"):
        load(["--config", str(file)])
    with pytest.raises(config.SettingsError, match="unknown setting"):
        load(MINIPLANE_TOY_PROT="2")


def test_bad_value_names_its_source() -> None:
    """A value of the wrong type says where it came from."""
    with pytest.raises(config.SettingsError, match="MINIPLANE_TOY_PORT: port: 'many' is no good"):
        load(MINIPLANE_TOY_PORT="many")


def test_flags_round_trip() -> None:
    """`to_flags` gives back an equal settings object through `load`."""
    settings = Toy(port=9, token="x y", loud=True, network=config.Network(pod_cidrs=("10.2.0.0/16",)))
    assert load(config.to_flags(settings)) == settings


def test_every_field_is_described() -> None:
    """The docstring under each field of the address plan is found."""
    assert all(config.describe(config.Network).values())
