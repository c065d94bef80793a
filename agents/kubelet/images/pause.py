"""Programs that do nothing, and programs that end at once."""

from dataclasses import dataclass

from .base import ContainerContext, RunningContainer, Served


async def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Pause:
    """Runs until it is stopped."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Do nothing. See `Image`."""
        return Served(context, _nothing)


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends at once: a base image whose shell gets no input, the usual `hello-world`."""

    code: int = 0
    text: str = ""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Say `text` and end. See `Image`."""
        if self.text:
            context.log(self.text)
        running = Served(context, _nothing)
        running.finish(self.code)
        return running
