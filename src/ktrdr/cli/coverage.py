"""Coverage in a terminal: the memberships of each fuzzy set, and below them where the training rows lie."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ktrdr.cli.output import day, number, percent, show_notices, table

if TYPE_CHECKING:
    from ktrdr.contracts.coverage import CoverageReport, SetCoverage

COLOURS = ("cyan", "magenta", "yellow", "green", "red", "blue", "bright_cyan", "bright_magenta")
HEIGHT = 9
BLOCKS = " ▁▂▃▄▅▆▇█"
MARGIN = 5
"""Columns left of the plot, for its axis."""


def show_coverage(screen: Console, report: "CoverageReport") -> None:
    """Every set of a strategy: its memberships, the rows, and how often each membership fires."""
    screen.print(f"[bold]{report.strategy_name}[/bold]: {_rows(report)}", soft_wrap=True)
    if not report.sets:
        screen.print("It reads no fuzzy set: all of its inputs are raw.")
    for one in report.sets:
        screen.print()
        heading = f"[bold]{one.name}[/bold] reads {one.indicator}: covers {percent(one.covered)} of the rows"
        screen.print(f"{heading}, {percent(one.overlapping)} by two or more", soft_wrap=True)
        for line in plot(one):
            screen.print(line)
        screen.print(_legend(one))
    if report.notices:
        screen.print()
    show_notices(screen, report.notices)


def _rows(report: "CoverageReport") -> str:
    """Which rows these are."""
    where = f"{', '.join(report.symbols)} {report.base_timeframe}"
    return f"{report.rows:,} training rows of {where}, {day(report.start)} to {day(report.end)}"


def plot(one: "SetCoverage") -> list[Text]:
    """The lines of a plot: numbers above the memberships' tops, curves, rows, and the axis; 69 columns at 64 bins."""
    width = len(one.counts)
    curves = _curves(one, width)
    axis = {0: "1.0 ┤", HEIGHT // 2: "0.5 ┤", HEIGHT - 1: "0.0 ┤"}
    upper, lower = _bars(one.counts)
    return [
        Text(" " * MARGIN) + _tops(one, width),
        *(Text(axis.get(row, "    │")) + curve for row, curve in enumerate(curves)),
        Text("rows ", "dim") + Text(upper, "dim"),
        Text(" " * MARGIN) + Text(lower, "dim"),
        *(Text(" " * MARGIN + line) for line in _axis(one.grid[0], one.grid[-1], width)),
    ]


def _curves(one: "SetCoverage", width: int) -> list[Text]:
    from plotille import Canvas

    grid, columns, rows = one.grid, 2 * width, 4 * HEIGHT  # dots: a character has two by four
    last = grid[0] + (grid[-1] - grid[0]) * columns / (columns - 1)
    canvas = Canvas(width, HEIGHT, xmin=grid[0], ymin=0, xmax=last, ymax=rows / (rows - 1), mode="names")
    for membership, colour in zip(one.memberships, _colours(one), strict=True):
        values = membership.values
        for x, y, next_x, next_y in zip(grid[:-1], values[:-1], grid[1:], values[1:], strict=True):
            if max(y, next_y) > 0.005:  # what is drawn along the axis says nothing
                canvas.line(x, y, next_x, next_y, color=colour)
    return [Text.from_ansi(line) for line in canvas.plot().split("\n")]


def _tops(one: "SetCoverage", width: int) -> Text:
    """The number of each membership above the middle of its top."""
    places: dict[int, tuple[str, str]] = {}
    for index, (membership, colour) in enumerate(zip(one.memberships, _colours(one), strict=True), 1):
        highest = max(membership.values)
        tops = [place for place, value in enumerate(membership.values) if value >= highest - 1e-6]
        middle = (tops[0] + tops[-1]) / 2 / max(len(membership.values) - 1, 1)
        place = min(round(middle * width), width - 1)
        while place in places:
            place += 1
        places[place] = (str(index), colour)
    line = Text()
    for column in range(max(places, default=-1) + 1):
        line.append(*places.get(column, (" ", "")))
    return line


def _bars(counts: Sequence[int]) -> tuple[str, str]:
    """A histogram in two lines of characters; a bin with any row shows at least the lowest bar."""
    highest, steps = max(counts) or 1, len(BLOCKS) - 1
    heights = [-(-2 * steps * count // highest) for count in counts]
    upper = "".join(BLOCKS[max(height - steps, 0)] for height in heights)
    return upper, "".join(BLOCKS[min(height, steps)] for height in heights)


def _axis(low: float, high: float, width: int) -> tuple[str, str]:
    """A line with marks at round numbers, and the numbers below it."""
    marks, numbers, end = ["─"] * width, [" "] * width, -1
    for value in _round_numbers(low, high):
        place = round((value - low) / (high - low) * (width - 1))
        marks[place] = "┴"
        written = f"{value:.6g}"
        start = min(max(place - len(written) // 2, 0), width - len(written))
        if start > end:
            numbers[start : start + len(written)] = written
            end = start + len(written)
    return "".join(marks), "".join(numbers)


def _round_numbers(low: float, high: float) -> list[float]:
    """The multiples between the two of the smallest 1, 2 or 5 times a power of ten that makes at most seven."""
    power = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 6)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _legend(one: "SetCoverage") -> Table:
    columns = ("fires", "mean", "highest")
    rows = table("", "membership", "shape", *columns, right=columns)
    for index, (membership, colour) in enumerate(zip(one.memberships, _colours(one), strict=True), 1):
        written = ", ".join(f"{value:g}" for value in membership.parameters)
        does = (percent(membership.fires), number(membership.mean), number(membership.highest))
        rows.add_row(Text(str(index), colour), Text(membership.name), Text(f"{membership.type} [{written}]"), *does)
    return rows


def _colours(one: "SetCoverage") -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(one.memberships))]
