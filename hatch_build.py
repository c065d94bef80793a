"""The wheel's layout: one import root, so that our `controllers/` never shadows a user's (docs/adr/0003)."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MOVED = {
    "apiserver": "miniplane/apiserver",
    "controllers": "miniplane/controllers",
    "agents": "miniplane/agents",
    "migrations": "miniplane/migrations",
    "deploy/demo": "miniplane/demo",
}


class Layout(BuildHookInterface):  # type: ignore[type-arg]  # the hook takes no configuration class
    """Moves the programs under `miniplane/` in a wheel and leaves an editable install alone."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a build; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update({f"{self.root}/{here}": there for here, there in MOVED.items()})
