"""Every figure beside its limit: `python bench/run.py [GROUP …]`.

A figure that misses what it needs is marked MISS and counted; the exit code is 1 only where something can't be
measured. Databases are made in the current folder, so that the disk measured is the one chosen and not a memory file
system.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from bench.figures import cluster, dataplane, dns, explain, fanout, http, kernel, policies, scale, scheduler, store
from bench.figures.base import Figure, Group

GROUPS: tuple[Group, ...] = (
    store.GROUP,
    dataplane.GROUP,
    kernel.GROUP,
    policies.GROUP,
    explain.GROUP,
    dns.GROUP,
    fanout.GROUP,
    http.GROUP,
    scheduler.GROUP,
    cluster.GROUP,
    scale.GROUP,
)

HEADER = ("figure", "measured", "limit", "ratio", "needs", "", "against")


def row(figure: Figure) -> Sequence[str]:
    """The cells of a figure."""
    return (
        figure.name,
        f"{figure.measured:,.0f} {figure.unit}" if figure.measured >= 10 else f"{figure.measured:.2f} {figure.unit}",
        f"{figure.limit:,.0f} {figure.unit}" if figure.limit >= 10 else f"{figure.limit:.2f} {figure.unit}",
        f"{figure.ratio:.2f}",
        f"{'≥' if figure.better == 'more' else '≤'} {figure.need:g}",
        "pass" if figure.passed else "MISS",
        figure.against,
    )


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def main(argv: Sequence[str]) -> int:
    """Measure the groups named, all if none is."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measure, each figure beside its limit.")
    parser.add_argument("group", nargs="*", help=", ".join(f"{group.name} ({group.about})" for group in GROUPS))
    chosen = parser.parse_args(argv).group
    unknown = set(chosen) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}: there are {', '.join(group.name for group in GROUPS)}")
    figures: list[Figure] = []
    failed: list[str] = []
    for group in GROUPS:
        if chosen and group.name not in chosen:
            continue
        print(f"measuring {group.name}: {group.about}", file=sys.stderr, flush=True)
        try:
            figures += group.measure()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed.append(f"{group.name} could not be measured: {error}")
    show([HEADER, *map(row, figures)])
    missed = sum(not figure.passed for figure in figures)
    print(f"\n{len(figures) - missed} of {len(figures)} figures are as promised, {missed} miss")
    for text in failed:
        print(text, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
