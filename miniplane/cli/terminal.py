"""Marks and colours, on a terminal that wants them (https://no-color.org)."""

import os
import sys

GREEN, RED, BOLD, DIM = "32", "31", "1", "2"


def paint(text: str, colour: str) -> str:
    """The text in a colour, plain where output is no terminal or NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{colour}m{text}\033[0m"


def tick() -> str:
    """A step that worked."""
    return paint("✓", GREEN)


def cross() -> str:
    """A step that failed."""
    return paint("✗", RED)
