"""The schemas of the real kinds, read once for all tests here."""

import pytest

from miniplane.api import definitions as module
from miniplane.api.definitions import Definitions
from miniplane.api.schema import Schema
from miniplane.kinds import KINDS


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """What upstream says of our kinds."""
    return module.load(KINDS)


@pytest.fixture(scope="session")
def schema(definitions: Definitions) -> Schema:
    """The same, compiled."""
    return Schema(definitions)
