"""The trades that a model's decisions would have made on the bars of a range, beside buying and holding and doing
nothing; of each symbol, and of equal shares in all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import BUY, HOLD, SIGNALS
from ktrdr.execution.trades.break_even import break_even_cost
from ktrdr.execution.trades.notes import notes_on
from ktrdr.execution.trades.performance import days_per_year, performance
from ktrdr.execution.trades.rules import Rules
from ktrdr.execution.trades.signals import Outputs, largest_edge, signals
from ktrdr.execution.trades.track import Stretch, Track, follow, mean_of, stretch_of


@dataclass(frozen=True, kw_only=True, eq=False)
class SymbolOutputs:
    """What a model gave for the bars of one symbol.

    `bars` are its base bars up to the end of the range, none behind it; `first` is the first bar of the range. `at` are
    the bars that have outputs, labelled or not; `outputs` those of each (see `signals`). `event` has one entry a bar:
    a bar that is none keeps the position.
    """

    bars: Bars
    first: int
    at: NDArray[np.int64]
    outputs: Outputs
    event: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Traded:
    """One symbol traded over a range: the outputs that count, what each says, and what came of it."""

    stretch: Stretch
    outputs: Outputs
    said: NDArray[np.int64]
    track: Track
    holding: Track


def trade_metrics(
    symbols: Sequence[SymbolOutputs], rules: Rules
) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]]]:
    """The figures of all symbols together and of each; a symbol without a bar in the range is left out, and there are
    none at all (None) when every symbol is.

    Plain values, the shape that results and `metrics.json` have (docs/evaluation.md): those of `performance`, with
    `round_trip_cost`, `cost_assumed`, `break_even_cost`; `signals` (counts), `largest_edge` and the `threshold` it has
    to pass; `bars`, `days`, `days_per_year`, `start`, `end`; `notes` (sentences); and under `baselines` those of
    `performance` for `buy_and_hold` and `flat`.
    """
    traded = [_trade(one, rules) for one in symbols if one.first < len(one.bars)]
    if not traded:
        return None, {}
    each = {one.stretch.bars.symbol: _figures([one], rules) for one in traded}
    return next(iter(each.values())) if len(traded) == 1 else _figures(traded, rules), each


def _trade(one: SymbolOutputs, rules: Rules) -> _Traded:
    """Outputs count at events of the range; every other bar keeps the position."""
    stretch = stretch_of(one.bars, one.first)
    counts = (one.at >= one.first) & one.event[one.at]
    outputs = one.outputs[counts]
    said = signals(outputs, rules)
    signal, buy_once = np.full((2, len(stretch)), HOLD, dtype=np.int64)
    signal[one.at[counts] - one.first] = said
    buy_once[0] = BUY
    track, holding = follow(stretch, signal, rules), follow(stretch, buy_once, rules)
    return _Traded(stretch=stretch, outputs=outputs, said=said, track=track, holding=holding)


def _figures(traded: Sequence[_Traded], rules: Rules) -> dict[str, Any]:
    track, holding = mean_of([one.track for one in traded]), mean_of([one.holding for one in traded])
    outputs, said = (np.concatenate([getattr(one, name) for one in traded]) for name in ("outputs", "said"))
    figures = {
        **performance(track),
        "round_trip_cost": rules.round_trip_cost,
        "cost_assumed": rules.cost_assumed,
        "break_even_cost": break_even_cost(track.gross, track.sides),
        "signals": dict(zip(SIGNALS, np.bincount(said, minlength=len(SIGNALS)).tolist(), strict=True)),
        "largest_edge": largest_edge(outputs, rules),
        "threshold": rules.threshold,
        "bars": sum(len(one.stretch) for one in traded),
        "days": len(track.days),
        "days_per_year": days_per_year(track.days),
        "start": _iso(track.time[0]),
        "end": _iso(max(one.stretch.bars.closes[-1] for one in traded)),
        "baselines": {"buy_and_hold": performance(holding), "flat": performance(track.idle())},
    }
    return {**figures, "notes": notes_on(figures, rules)}


def _iso(microseconds: np.int64) -> str:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC).isoformat()
