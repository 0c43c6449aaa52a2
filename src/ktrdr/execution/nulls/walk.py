"""The null walk: bars whose direction was drawn by chance, and nothing else of them changed.

A bar is a gap from the close before it, and its high, low and close relative to its open, all in logs. Each time stamp
draws a sign. A minus mirrors the bar: gap and close change sign, high and low change places; and twice the mean return
is added to the gap, so that the drift stays. How far prices move, when, and how the size of one bar follows from others
is as it was; up and down are not. (Shuffled blocks would be a wrong null: they keep what is predictable within a block
and break the long memory of volatility.)
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import DataRefused
from ktrdr.execution.data.bars import PRICES, Bars, instant

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB))


def mirrored(time: NDArray[np.int64], key: int) -> NDArray[np.bool_]:
    """Whether the bars of these stamps (microseconds UTC) are mirrored: a fair coin for each stamp and key.

    It depends on nothing else, so that symbols share it without knowing of each other. The coin is the first bit of
    SplitMix64's finaliser (Steele, Lea, Flood 2014) over stamp and key.
    """
    with np.errstate(over="ignore"):
        drawn = _mixed(time.astype(np.uint64) * _GOLDEN + _mixed(np.full(1, key, dtype=np.uint64)))
    return np.asarray(drawn >> np.uint64(63), dtype=np.bool_)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIX:
        state = (state ^ (state >> shift)) * factor
    return np.asarray(state ^ (state >> np.uint64(31)))


def null_walk(bars: Bars, key: int) -> Bars:
    """The walk that `key` (64 bits) draws of these bars: it starts at their first open; volumes stay. A bar without
    prices stays one.

    Raises DataRefused for prices that have no logarithm.
    """
    there = np.isfinite(np.stack([getattr(bars, name) for name in PRICES])).all(axis=0)
    if not there.any():
        return bars
    open_, high, low, close = (_logs(bars, name, there) for name in PRICES)
    up, down, body = high - open_, low - open_, close - open_
    gap = np.concatenate(([0.0], open_[1:] - close[:-1]))
    drift = float(np.mean(gap[1:] + body[1:])) if len(gap) > 1 else 0.0
    minus = mirrored(bars.time[there], key)
    gap = np.where(minus, 2.0 * drift - gap, gap)
    gap[0] = 0.0
    body, up, down = np.where(minus, -body, body), np.where(minus, -down, up), np.where(minus, -up, down)
    close = open_[0] + np.cumsum(gap + body)
    open_ = close - body
    return _priced(bars, there, *(np.exp(logs) for logs in (open_, open_ + up, open_ + down, close)))


def coarser(bars: Bars, fine: Bars, walk: Bars, key: int) -> Bars:
    """The bars of a longer timeframe, made of a walk of finer ones where they were made of `fine`; stamps and volumes
    stay.

    What lies before the first of `fine` is mirrored bar by bar, and joins the walk where the bars joined; a later bar
    without finer ones in it is left out.
    """
    ends = np.minimum(bars.closes, np.append(bars.time[1:], np.iinfo(np.int64).max))
    first, behind = (np.searchsorted(fine.time, stamps) for stamps in (bars.time, ends))
    before = int(np.searchsorted(ends, fine.time[0], side="right")) if len(fine) else len(bars)
    made = np.flatnonzero(behind > first)
    rows = np.concatenate([np.arange(before), made[made >= before]])
    columns: dict[str, Any] = {name: np.full(len(rows), np.nan) for name in PRICES}
    earlier = _ending_alike(bars.rows(slice(0, before)), key)
    for name, values in columns.items():
        values[:before] = getattr(earlier, name)
    starts, stops = first[rows[before:]], behind[rows[before:]]
    if len(starts):
        columns["open"][before:] = walk.open[starts]
        columns["close"][before:] = walk.close[stops - 1]
        columns["high"][before:] = _over(np.fmax, walk.high, starts, stops)
        columns["low"][before:] = _over(np.fmin, walk.low, starts, stops)
    return replace(bars, time=bars.time[rows], volume=bars.volume[rows], resampling=None, **columns)


def _over(
    extreme: np.ufunc, values: NDArray[np.float64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The extreme of each [start, stop), none of them empty, none overlapping."""
    edges = np.stack([starts, stops], axis=1).ravel()
    padded = np.append(values, np.nan)
    return np.asarray(extreme.reduceat(padded, edges)[::2])


def _ending_alike(bars: Bars, key: int) -> Bars:
    """A walk of the bars that ends where they end."""
    walk = null_walk(bars, key)
    if not len(bars):
        return walk
    scale = bars.close[-1] / walk.close[-1]
    scaled: dict[str, Any] = {name: getattr(walk, name) * scale for name in PRICES}
    return replace(walk, **scaled)


def _logs(bars: Bars, name: str, there: NDArray[np.bool_]) -> NDArray[np.float64]:
    prices: NDArray[np.float64] = getattr(bars, name)[there]
    if (prices <= 0).any():
        when = instant(bars.time[there][int((prices <= 0).argmax())])
        raise DataRefused(
            f"{bars.symbol} {bars.timeframe.name} has a price of {prices.min():g} ({name} of {when:%Y-%m-%d %H:%M}):"
            " a walk in logs needs positive ones; choose other dates"
        )
    return np.asarray(np.log(prices))


def _priced(
    bars: Bars,
    there: NDArray[np.bool_],
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
) -> Bars:
    """Bars with these prices where there were some; no rounding puts a close above its high."""
    high, low = np.maximum(high, np.maximum(open_, close)), np.minimum(low, np.minimum(open_, close))
    columns: dict[str, Any] = {name: np.full(len(bars), np.nan) for name in PRICES}
    for values, prices in zip(columns.values(), (open_, high, low, close), strict=True):
        values[there] = prices
    return replace(bars, **columns)
