"""Jumps of price that look like share splits which nobody adjusted for: a model would learn them as crashes."""

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.timeframes import DAY, SECOND

SPLITS = np.array([2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100, 3 / 2, 4 / 3, 5 / 4, 5 / 2, 7 / 2])
"""Ratios that companies choose; their inverses are reverse splits."""

TOLERANCE = 0.04
"""How far the jump may be from the ratio, in logs: the market moves overnight too. (AAPL fell by half in the night of
2000-09-28, within 0.06 of a split of 2; its true splits were within 0.03.)"""

TYPICAL_MOVES = 8.0
"""A jump counts when it is this many times the usual size of the moves around it."""

BUSY, VERY_BUSY = 2.0, 6.0
"""A split changes the price and not the trade: the day after it turns over about as much money as before. Of ratios
below 2, which bad news reaches too, a day of more than BUSY times the usual turnover is news; above, VERY_BUSY.
(Measured on hourly and daily bars: AAPL's and MSFT's splits from 2000 to 2020 0.4 to 1.9; overnight news of 12 to 17 %
of AAPL, IBM, MSFT and GOOG 1.8 to 10; AAPL's crash of 2000-09-29 12 to 15.) Bars without volume are judged by their
range, high to low, instead."""

WINDOW = 250
DAYS_BEFORE = 40


def split_like_jumps(bars: Bars) -> NDArray[np.int64]:
    """Indices of bars that open at about a split's ratio to the last close, far outside the moves around them."""
    if len(bars) < 3:
        return np.empty(0, dtype=np.int64)
    jump = _jumps(bars)
    candidates = np.flatnonzero(np.abs(jump) > np.log(SPLITS.min()) - TOLERANCE)
    found = [at + 1 for at in candidates if _is_split(bars, jump, int(at))]
    return np.array(found, dtype=np.int64)


def _jumps(bars: Bars) -> NDArray[np.float64]:
    """Last close to open, in logs; where a session's open was filled with the last close, last close to close."""
    step = bars.timeframe.length * SECOND
    pause = np.diff(bars.time) > (step if bars.timeframe.length < DAY else 0)
    carried = pause & (bars.open[1:] == bars.close[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.where(carried, bars.close[1:], bars.open[1:]) / bars.close[:-1]))


def _is_split(bars: Bars, jump: NDArray[np.float64], at: int) -> bool:
    size = jump[at]
    ratios = np.log(SPLITS)
    nearest = ratios[np.abs(ratios - abs(size)).argmin()]
    around = np.concatenate([jump[max(0, at - WINDOW) : at], jump[at + 1 : at + 1 + WINDOW]])
    small = np.abs(around) < abs(size) / 2
    usual = np.nanstd(around[small]) if small.any() else 0.0
    if abs(nearest - abs(size)) >= TOLERANCE or abs(size) <= TYPICAL_MOVES * usual:
        return False
    limit = VERY_BUSY if nearest >= np.log(2) else BUSY
    return _stays(bars, at + 1, size) and _busyness(bars, at + 1) <= limit


def _stays(bars: Bars, at: int, size: float) -> bool:
    """A split stays: within the next bars the price does not come back half of the way."""
    before, after = bars.close[at - 1], np.nanmedian(bars.close[at : at + 10])
    return bool(np.log(after / before) / size > 0.5)


def _busyness(bars: Bars, at: int) -> float:
    """The mean turnover of the day after the jump over the median turnover of the days before (1: as ever)."""
    stop = max(at + 1, int(np.searchsorted(bars.time, bars.time[at] + DAY * SECOND)))
    before, after = slice(max(0, at - DAYS_BEFORE * (stop - at)), at), slice(at, stop)
    turnover = np.median((bars.volume * bars.close)[before])
    if turnover > 0:
        return float((bars.volume * bars.close)[after].mean() / turnover)
    if bars.open[at] == bars.close[at - 1]:
        after = slice(at + 1, stop + 1)  # the bar whose open was filled in has the jump in its range
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(bars.high / bars.low)
    usual = np.median(spread[before])
    return float(spread[after].mean() / usual) if usual > 0 and len(spread[after]) else 1.0
