"""How a report opens: what the model's decisions would have earned after costs, beside doing nothing and holding."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from ktrdr.cli.output import day, number, prose, show_notices, table

COLUMNS = ("return", "Sharpe", "± SE", "drawdown", "trades", "won", "turnover")
RIVALS = {"buy_and_hold": "buy and hold", "flat": "always flat"}


def show_trades(screen: Console, metrics: Mapping[str, Any]) -> None:
    """The trades of a model; nothing for labels that say nothing to do."""
    trades = metrics.get("trades")
    if not trades:
        return
    screen.print(trades_table(trades))
    prose(screen, " ".join(filter(None, (_costs(trades), _probability(trades)))))
    show_notices(screen, trades.get("notes", []))
    screen.print()


def trades_table(trades: Mapping[str, Any]) -> Table:
    """The model above its rivals."""
    days = f"{trades.get('days', 0):,} trading days"
    title = f"After costs, {day(trades.get('start'))} to {day(trades.get('end'))} ({days})"
    rows = table("", *COLUMNS, right=COLUMNS, title=title)
    rows.add_row("[bold]model[/bold]", *(f"[bold]{figure}[/bold]" for figure in _figures(trades)))
    for name, rival in trades.get("baselines", {}).items():
        rows.add_row(RIVALS.get(name, name), *_figures(rival))
    return rows


def trades_by_symbol(metrics: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """The trades in each symbol; None when no symbol has any."""
    traded = {symbol: own["trades"] for symbol, own in metrics.items() if own.get("trades")}
    if not traded:
        return None
    columns = ("buy and hold", "return", "Sharpe", "drawdown", "trades", "won")
    rows = table("symbol", *columns, right=columns, title="After costs, by symbol")
    for symbol, trades in traded.items():
        holding = trades.get("baselines", {}).get("buy_and_hold", {})
        earned, sharpe, _, *others = _figures(trades)
        rows.add_row(symbol, percent(holding.get("return"), "+"), earned, sharpe, *others[:3])
    return rows


def percent(value: Any, sign: str = "", digits: int = 1) -> str:
    """A share in percent; – where there is none. A `sign` of + is left out before nothing."""
    if value is None:
        return "–"
    return f"{value:{sign if value else ''},.{digits}%}"


def _figures(trades: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        percent(trades.get("return"), "+"),
        number(trades.get("sharpe"), 2),
        number(trades.get("sharpe_error"), 2),
        percent(trades.get("max_drawdown")),
        number(trades.get("trades"), 0),
        percent(trades.get("win_share"), digits=0),
        number(trades.get("turnover"), 0),
    )


def _costs(trades: Mapping[str, Any]) -> str:
    cost, even = trades.get("round_trip_cost"), trades.get("break_even_cost")
    if even is None:
        return f"A round trip costs {percent(cost, digits=3)}."
    break_even = (
        f"at {percent(even, digits=3)} the same trades would break even" if even > 0 else "the trades lose before costs"
    )
    return f"A round trip costs {percent(cost, digits=3)}; {break_even}."


def _probability(trades: Mapping[str, Any]) -> str:
    probability = trades.get("sharpe_probability")
    if probability is None:
        return ""
    return f"The true Sharpe ratio is above zero with a probability of {probability:.0%} (PSR)."
