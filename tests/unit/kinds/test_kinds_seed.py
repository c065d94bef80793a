"""The manifests of the demo are valid, and get upstream's defaults."""

from pathlib import Path

import pytest
import yaml

from miniplane.api.names import validate_meta
from miniplane.kinds import REGISTRY

SEED = Path(__file__).parents[3] / "deploy" / "demo" / "seed"


@pytest.mark.parametrize("path", sorted(SEED.glob("*.yaml")), ids=lambda path: path.name)
def test_seed_manifests_are_accepted(path: Path) -> None:
    """Each manifest names a kind and has no error after defaulting."""
    for obj in yaml.safe_load_all(path.read_text()):
        kind = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
        assert kind is not None
        obj["metadata"]["namespace"] = "default"
        kind.defaults(obj)
        kind.strategy.prepare(obj, None)
        assert [*validate_meta(obj, kind), *kind.strategy.validate(obj, None)] == []
        assert list(kind.strategy.warnings(obj, None)) == []


def test_there_are_seed_manifests() -> None:
    """The test above tests something."""
    assert len(list(SEED.glob("*.yaml"))) >= 6
