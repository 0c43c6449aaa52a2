"""The null test of a strategy, for a person: each score beside its null distribution, and what that means."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ktrdr.cli.output import day, number, prose, show_notices, table

if TYPE_CHECKING:
    from ktrdr.contracts.training import TrainingResult

SCORES = {
    "net_sharpe": "net Sharpe ratio",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "directional_accuracy": "directional accuracy",
    "information_coefficient": "information coeff.",
}
COLUMNS = {
    "value": "value",
    "null_mean": "walks:\nmean",
    "null_sd": "\nsd",
    "null_low": "\n5 %",
    "null_high": "\n95 %",
    "excess": "excess",
    "p": "p",
}


def show_null_test(screen: Console, null: Mapping[str, Any]) -> None:
    """The table and the sentences."""
    screen.print(null_table(null))
    for sentence in null["conclusions"]:
        prose(screen, sentence)
    if null["without_trades"]:
        prose(screen, f"{null['without_trades']} of the walks had no trades: they count as a ratio of 0.")
    if null["drawn_anew"]:
        prose(screen, f"{null['drawn_anew']} walks gave too few labels to train on and were drawn anew.")


def null_table(null: Mapping[str, Any]) -> Table:
    """Scores down; value, null distribution, excess and p across."""
    title = f"Test, beside {null['walks']} walks without direction"
    rows = table("", *COLUMNS.values(), right=list(COLUMNS.values()), title=title)
    for name, score in null["scores"].items():
        told = [number(score.get(key), 2 if key == "p" else 3) for key in COLUMNS]
        rows.add_row(SCORES.get(name, name), *told)
    return rows


def show_null_operation(screen: Console, strategy: str, result: "TrainingResult") -> None:
    """A null test that was asked for by itself."""
    data = result.data_summary
    dates = f"{day(data.get('start'))} to {day(data.get('end'))}"
    screen.print(f"\n[bold]{strategy}[/bold]  {', '.join(data.get('symbols', []))}, {dates}; no model was kept")
    screen.print()
    show_null_test(screen, result.test_metrics["null_test"])
    show_notices(screen, data.get("notices", []))
