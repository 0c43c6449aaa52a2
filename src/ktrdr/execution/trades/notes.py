"""What a reader should know beside the figures of the trades, in sentences."""

from collections.abc import Mapping
from typing import Any

from ktrdr.execution.trades.rules import Rules

FEW_TRADES = 30


def notes_on(figures: Mapping[str, Any], rules: Rules) -> list[str]:
    """Why there are no trades, or that there are few; and that the cost was assumed."""
    notes = []
    if not figures["trades"]:
        notes.append(f"no trades: {_why_none(figures, rules)}")
    elif figures["trades"] < FEW_TRADES:
        count = f"{figures['trades']} trades are" if figures["trades"] > 1 else "one trade is"
        notes.append(f"{count} fewer than {FEW_TRADES}: that says little about the next ones")
    if rules.cost_assumed:
        notes.append(
            f"a round trip is assumed to cost {rules.round_trip_cost:.2%}: decisions.cost_model.round_trip_cost says it"
        )
    return notes


def _why_none(figures: Mapping[str, Any], rules: Rules) -> str:
    edge, said = figures["largest_edge"], figures["signals"]
    if not any(said.values()):
        return "no bar of the range has all its features and is an event"
    if rules.regression and not said["BUY"] + said["SELL"]:
        found = "the model expected no number" if edge is None else f"the largest move expected was {edge:.3%}"
        return f"{found}, and one has to exceed {rules.threshold:.3%} to be worth its cost"
    if edge is None:
        return "HOLD was the likeliest class at every bar"
    if not said["BUY"] + said["SELL"]:
        return f"the largest probability of BUY or SELL was {edge:.3f}, below the threshold {rules.threshold:g}"
    if not said["BUY"] and not rules.shorts:
        return "the signals were SELL, which opens no position without decisions.allow_short_from_flat"
    return "no signal was followed by a bar that fills it"
