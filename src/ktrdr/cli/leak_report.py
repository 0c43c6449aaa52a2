"""The report of a leak check, for a person: a verdict on every input, and what to do about those that do not pass."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ktrdr.cli.output import minute, prose, show_notices, table

if TYPE_CHECKING:
    from ktrdr.contracts.leaks import InputVerdict, LeakReport

VERDICTS = {"pass": "pass", "warm_up_error": "[yellow]warm-up error[/yellow]", "leak": "[bold red]leak[/bold red]"}


def show_leaks(screen: Console, report: "LeakReport") -> None:
    """The whole report."""
    bars = sum(report.bars.values())
    screen.print(f"[bold]{report.strategy_name}[/bold]  {', '.join(report.symbols)}, rows of {report.base_timeframe}")
    prose(screen, f"{bars:,} bars, cut at {report.cuts} moments")
    screen.print(_table(report))
    for sentence in _advice(report):
        prose(screen, sentence)
    show_notices(screen, report.notices)


def _table(report: "LeakReport") -> Table:
    rows = table("input", "verdict", "difference", "found at (UTC)", right=("difference",))
    for one in [*report.inputs, report.labels]:
        difference = "–" if one is report.labels or one.difference is None else f"{one.difference:.2%}"
        found = "" if one.verdict == "pass" else f"{minute(one.at)} {one.symbol}"
        rows.add_row(escape(one.name), VERDICTS[one.verdict], difference, found)
    return rows


def _advice(report: "LeakReport") -> list[str]:
    """What the verdicts mean, and how to get rid of them."""
    said = []
    if report.verdict == "pass":
        said.append(f"No input knows the future, and all have settled after {report.history_required} bars of history.")
    if report.verdict == "leak":
        said.append("A leak changes with bars that had not closed by then. No number of such a model is worth a thing.")
    unsettled = [one for one in report.inputs if one.verdict == "warm_up_error"]
    if unsettled:
        said.append(
            f"A warm-up error is another value than a longer history would give: {report.history_required} bars"
            " (history_required) are too few. The difference is a share of the input's spread."
        )
        said.append(_cure(unsettled))
    return said


def _cure(unsettled: "list[InputVerdict]") -> str:
    endless = [one.name for one in unsettled if one.enough_history is None]
    enough = max((one.enough_history or 0 for one in unsettled), default=0)
    cure = f"history_required: {enough} would do"
    if not endless:
        return f"{cure}."
    names = ", ".join(endless[:3]) + (f" and {len(endless) - 3} more" if len(endless) > 3 else "")
    others = f"{cure} for the others. " if enough else ""
    return f"{others}No history that was tried settles {names}: what it is depends on the first bar."
