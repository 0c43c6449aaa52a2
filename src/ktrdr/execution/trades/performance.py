"""How good a track is, in the figures by which traders judge one."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.trades.sharpe import sharpe_of
from ktrdr.execution.trades.track import Track

DAYS_PER_YEAR = 365.25


def performance(track: Track) -> dict[str, Any]:
    """Net figures of a track that has a bar; None where there is no number.

    `return` is the compounded net return; `sharpe` that of trading-day returns (flat days are zero), annualised by the
    root of the trading days observed in a year, as is its standard error `sharpe_error`; `sharpe_probability` the
    probability that the true one is positive (PSR); `max_drawdown` the deepest fall from a height, a share, measured at
    every bar; `turnover` the notional bought and sold, in units; `win_share` the share of trades with a net gain.
    """
    sharpe, per_year = sharpe_of(track.daily_returns), days_per_year(track.days)
    scale = math.sqrt(per_year) if per_year else None
    trades = len(track.trades)
    return {
        "return": float(np.prod(track.factors)) - 1.0,
        "sharpe": sharpe.ratio * scale if sharpe and scale else None,
        "sharpe_error": sharpe.error * scale if sharpe and scale else None,
        "sharpe_probability": sharpe.probability if sharpe else None,
        "max_drawdown": max_drawdown(track.factors),
        "turnover": float(track.sides.sum()),
        "trades": trades,
        "long_trades": track.longs,
        "win_share": float((track.trades > 0.0).mean()) if trades else None,
        "time_in_market": float(track.invested.mean()),
    }


def max_drawdown(factors: NDArray[np.float64]) -> float:
    """The deepest fall of the compounded capital from its height so far, as a share of that height: 0 to 1."""
    capital = np.concatenate(([1.0], np.cumprod(factors)))
    return float((1.0 - capital / np.maximum.accumulate(capital)).max())


def days_per_year(days: NDArray[np.int64]) -> float | None:
    """How many trading days a year has, by these: rising, once each. None when there is but one."""
    span = int(days[-1] - days[0])
    return DAYS_PER_YEAR * (len(days) - 1) / span if span else None
