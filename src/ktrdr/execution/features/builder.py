"""FeatureBuilder: from the bars of one symbol to its feature matrix, in three steps that the executor names.

Training, prediction and evaluation call this code and no other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine

STALE_BARS = 3
"""A value of another timeframe may be this many of the longer bars old, counted in base bars."""

IndicatorValues = Mapping[str, Mapping[str, NDArray[np.float64]]]
ColumnValues = Mapping[str, NDArray[np.float32]]
"""For each timeframe the columns that read it, (columns, bars)."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of one symbol: one series for each timeframe, by its name; and other series, by the names that
    indicators give them."""

    symbol: str
    base_timeframe: str
    bars: Mapping[str, Bars]

    @property
    def base(self) -> Bars:
        return self.bars[self.base_timeframe]


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMatrix:
    """One row a base bar, one column a feature, float32, NaN where undefined; columns are contiguous in memory.

    `history` counts the bars that precede each row, the fewest over the bars in use (not over observations, of which a
    row needs no more than its indicators do).
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    history: NDArray[np.int64]

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Rows in which every feature is a number."""
        return np.asarray(np.isfinite(self.values).all(axis=1))

    def usable(self, window: int) -> NDArray[np.bool_]:
        """Rows that, with the `window` - 1 rows before them, are defined."""
        defined = self.defined
        if window == 1:
            return defined
        run = np.concatenate(([0], np.cumsum(defined)))
        usable = np.zeros(len(defined), dtype=np.bool_)
        usable[window - 1 :] = run[window:] - run[:-window] == window
        return usable

    def answerable(self, window: int, history_required: int) -> NDArray[np.bool_]:
        """Rows of which a model that reads `window` bars can be asked: usable, with enough bars before them."""
        return self.usable(window) & (self.history >= history_required)


class FeatureBuilder:
    """Builds the features of a strategy; every value of a row is known at the close of its base bar."""

    def __init__(self, columns: Sequence[FeatureColumn], indicators: IndicatorEngine, fuzzy: FuzzyEngine) -> None:
        self.columns = tuple(columns)
        self._indicators = indicators
        self._fuzzy = fuzzy

    def lookbacks(self) -> dict[str, int]:
        """For each series that a feature reads: how many bars pass before all its indicators are defined."""
        bars: dict[str, int] = {}
        for column in self.columns:
            needed = self._indicators.indicators[column.indicator].lookback
            bars[column.series] = max(bars.get(column.series, 0), needed)
        return bars

    def reach(self, series: Series) -> int:
        """How many base bars the features of a row look back at most, their lookbacks on bars alone counted."""
        base, bars = series.base.timeframe.length, {name: series.bars[name] for name in self.lookbacks()}
        lengths = {name: max(1.0, one.timeframe.length / base) for name, one in bars.items() if not one.observed}
        return max((math.ceil(self.lookbacks()[name] * length) for name, length in lengths.items()), default=0)

    def indicators(self, series: Series) -> IndicatorValues:
        """Each indicator that a feature reads, once for each series it is read on."""
        wanted = {name: [column.reference for column in columns] for name, columns in self._by_series().items()}
        return {name: self._indicators.compute(series.bars[name], refs) for name, refs in wanted.items()}

    def memberships(self, values: IndicatorValues) -> ColumnValues:
        """Each column's values on the bars of its own series, float32."""
        blocks = {}
        for name, columns in self._by_series().items():
            sources = [values[name][column.reference] for column in columns]
            blocks[name] = np.empty((len(columns), len(sources[0])), dtype=np.float32)
            for column, source, row in zip(columns, sources, blocks[name], strict=True):
                if column.membership is None:
                    row[:] = source
                else:
                    row[:] = self._fuzzy.memberships(source, {column.name: column.membership})[column.name]
        return blocks

    def matrix(self, series: Series, columns: ColumnValues) -> FeatureMatrix:
        """The columns side by side on the base bars: each row sees the last bar of each series closed by then."""
        base, names = series.base, tuple(column.name for column in self.columns)
        if columns.keys() == {series.base_timeframe}:
            (values,) = columns.values()
            return FeatureMatrix(names=names, values=values.T, history=np.arange(len(base)))
        values = np.empty((len(self.columns), len(base)), dtype=np.float32)
        history = np.full(len(base), np.iinfo(np.int64).max)
        for name, block in columns.items():
            other = series.bars[name]
            last = last_closed(base, other)
            history = history if other.observed else np.minimum(history, last)
            own = [index for index, column in enumerate(self.columns) if column.series == name]
            for column, index in zip(block, own, strict=True):
                if len(column):
                    np.take(column, last, out=values[index], mode="clip")
                values[index, last < 0] = np.nan
        return FeatureMatrix(names=names, values=values.T, history=history)

    def _by_series(self) -> dict[str, list[FeatureColumn]]:
        columns: dict[str, list[FeatureColumn]] = {}
        for column in self.columns:
            columns.setdefault(column.series, []).append(column)
        return columns

    def build(self, series: Series) -> FeatureMatrix:
        """All three steps."""
        return self.matrix(series, self.memberships(self.indicators(series)))


def last_closed(base: Bars, other: Bars) -> NDArray[np.int64]:
    """For each base bar the index of the last bar of `other` closed by its close, -1 where there is none or it is old.

    Old means: more than 3 · max(1, ratio) base bars have closed since, ratio being the timeframes' lengths' quotient.
    An observation is old when it does not stand any longer.
    """
    rows = np.arange(len(base))
    if other is base:
        return rows
    last = np.searchsorted(other.closes, base.closes, side="right") - 1
    if other.observed:
        age = base.closes - other.closes[last] if len(other) else rows
        return np.where(age > other.valid_for, -1, last)
    closed_by_then = np.searchsorted(base.closes, other.closes[last], side="right") if len(other) else rows
    ratio = other.timeframe.length / base.timeframe.length
    stale = rows + 1 - closed_by_then > STALE_BARS * max(1.0, ratio)
    return np.where(stale, -1, last)
