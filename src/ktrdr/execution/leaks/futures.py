"""The bars of a symbol with something taken away or replaced: what closes after a moment, or what lies long before."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ktrdr.execution.data.bars import PRICES, Bars
from ktrdr.execution.features.builder import Series

WILDER = 3.0
"""Another future moves by this many standard deviations of the bars' own returns."""
FURTHEST = 20.0
"""As far as it may drift away, in logs: no number may overflow."""


def closed_by(bars: Bars, moment: int) -> int:
    """How many bars have closed by that moment, microseconds UTC."""
    return int(np.searchsorted(bars.closes, moment, side="right"))


def until(series: Series, moment: int) -> Series:
    """Only the bars that have closed by then."""
    return _each(series, lambda _, bars: bars.rows(slice(0, closed_by(bars, moment))))


def last(series: Series, moment: int, counts: Mapping[str, int]) -> Series:
    """Of the bars that have closed by then the last ones, as many as `counts` says for each series."""

    def newest(name: str, bars: Bars) -> Bars:
        end = closed_by(bars, moment)
        return bars.rows(slice(max(0, end - counts[name]), end))

    return _each(series, newest)


def around(series: Series, moment: int, reach: Mapping[str, int]) -> Series:
    """The bars near that moment: so many of each series before it, and as many behind it."""

    def near(name: str, bars: Bars) -> Bars:
        at, width = closed_by(bars, moment), reach[name]
        return bars.rows(slice(max(0, at - width), at + width))

    return _each(series, near)


def with_another_future(series: Series, moment: int, generator: np.random.Generator) -> Series:
    """Bars that close later have other prices and volumes: valid ones, but of a wilder market that jumps at once."""
    return _each(series, lambda _, bars: _another_future(bars, closed_by(bars, moment), generator))


def _another_future(bars: Bars, first: int, generator: np.random.Generator) -> Bars:
    count = len(bars) - first
    if count == 0:
        return bars
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(bars.close))
    usual = float(np.std(returns[np.isfinite(returns)])) if np.isfinite(returns).any() else 0.0
    step = WILDER * max(usual, 0.001)
    jump = 4.0 * step * generator.choice((-1.0, 1.0))
    drift = jump + np.cumsum(generator.normal(0.0, step, count))
    factor = np.exp(np.clip(drift, -FURTHEST, FURTHEST))
    columns = {name: getattr(bars, name).copy() for name in (*PRICES, "volume")}
    for name in PRICES:
        columns[name][first:] *= factor
    columns["volume"][first:] *= np.exp(generator.normal(0.0, 1.0, count))
    return replace(bars, **columns)


def _each(series: Series, change: Callable[[str, Bars], Bars]) -> Series:
    return replace(series, bars={name: change(name, bars) for name, bars in series.bars.items()})
