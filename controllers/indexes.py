"""Sets of whole numbers written as ranges, `1,3-5`: the completed and failed indexes of a Job. Pure."""

from collections.abc import Collection


def parse(text: str | None) -> set[int]:
    """The numbers; what is no range is left out, as users may have written it."""
    found: set[int] = set()
    for part in (text or "").split(","):
        low, dash, high = part.partition("-")
        if low.isdecimal() and (not dash or high.isdecimal()):
            found.update(range(int(low), int(high or low) + 1))
    return found


def text_of(numbers: Collection[int]) -> str:
    """The ranges, in order; two neighbours are written apart, from three on as a range."""
    parts: list[str] = []
    run: list[int] = []
    for number in [*sorted(numbers), None]:
        if run and number != run[-1] + 1:
            parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)  # noqa: PLR2004  upstream's form
            run = []
        if number is not None:
            run.append(number)
    return ",".join(parts)
