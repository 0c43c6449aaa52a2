"""What a cross-validation found, fold by fold."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ktrdr.cli.output import day, number, prose, table
from ktrdr.cli.trades import percent

KINDS = {"walk_forward": "walk-forward", "combinatorial": "combinatorial, purged"}
MOST_ROWS = 20


def show_cross_validation(screen: Console, metrics: Mapping[str, Any]) -> None:
    """The figures of each fold and their spread; nothing without a cross-validation."""
    crossed = metrics.get("cross_validation")
    if not crossed:
        return
    skill = "information_coefficient" if "information_coefficient" in metrics else "balanced_accuracy"
    screen.print(_table(crossed, skill))
    prose(screen, _spread(crossed, skill))
    screen.print()


def _table(crossed: Mapping[str, Any], skill: str) -> Table:
    folds, traded = crossed["folds"], crossed["type"] == "walk_forward"
    columns = ["rows", skill.replace("_", "\n"), "best\nbaseline", *(("return", "Sharpe") if traded else ())]
    title = f"Cross-validation, {KINDS.get(crossed['type'], crossed['type'])} ({len(folds)} folds)"
    rows = table("test", *columns, right=columns, title=title)
    for fold in folds[:MOST_ROWS]:
        figures = fold["metrics"]
        rivals = [judged[skill] for judged in fold["baselines"].values() if judged.get(skill) is not None]
        earned = percent(figures.get("trades_return"), "+"), number(figures.get("trades_sharpe"), 2)
        rows.add_row(
            _ranges(fold["test_ranges"]),
            number(fold["rows"]["test"], 0),
            number(figures.get(skill)),
            number(max(rivals, default=None)),
            *(earned if traded else ()),
        )
    if len(folds) > MOST_ROWS:
        rows.add_row(f"… and {len(folds) - MOST_ROWS} more", *[""] * len(columns))
    return rows


def _ranges(ranges: Sequence[Sequence[str]]) -> str:
    """A line a stretch; ranges that meet are one."""
    stretches: list[list[str]] = []
    for start, end in ranges:
        if stretches and stretches[-1][1] == start:
            stretches[-1][1] = end
        else:
            stretches.append([start, end])
    return "\n".join(f"{day(start)} to {day(end)}" for start, end in stretches)


def _spread(crossed: Mapping[str, Any], skill: str) -> str:
    summary = crossed["summary"]
    told = []
    for name, label in ((skill, skill.replace("_", " ")), ("trades_sharpe", "Sharpe ratio")):
        spread = summary.get(name)
        if spread:
            told.append(
                f"{label} {spread['mean']:.3f} ± {spread['sd']:.3f} (lowest {spread['lowest']:.3f},"
                f" highest {spread['highest']:.3f})"
            )
    said = f"Over the folds: {'; '.join(told)}." if told else ""
    if crossed["type"] == "combinatorial":
        return f"{said} Its tests are no stretch of time that could have been traded: there is no return to quote."
    return said
