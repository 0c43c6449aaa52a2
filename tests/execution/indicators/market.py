"""Bars for indicators: with volumes that vary, and with stretches in which nothing happens."""

import numpy as np
from tests.support import changed, random_bars

from ktrdr.execution.data.bars import PRICES, Bars


def traded_bars(seed: int, count: int) -> Bars:
    """A random walk of prices around a half (where an arc sine is defined), with random volumes, some of them 0."""
    generator = np.random.default_rng(seed + 1000)
    volume = generator.gamma(0.7, 1000.0, count) * (generator.random(count) > 0.1)
    bars = random_bars(seed, count)
    prices = {name: getattr(bars, name) / 200.0 for name in PRICES}
    return changed(bars, slice(None), volume=volume, **prices)


def then_still(bars: Bars, start: int) -> Bars:
    """The same bars whose price stands still from `start` on, and nothing is traded."""
    last = bars.close[start - 1]
    return changed(bars, slice(start, None), open=last, high=last, low=last, close=last, volume=0.0)


def slow_window(series: np.ndarray, period: int, function: object) -> np.ndarray:
    """A function of each full window of the last `period` values, one call a bar, NaN before."""
    result = np.full(len(series), np.nan)
    for bar in range(period - 1, len(series)):
        result[bar] = function(series[bar - period + 1 : bar + 1])  # type: ignore[operator]
    return result
