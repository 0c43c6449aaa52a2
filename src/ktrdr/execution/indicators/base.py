"""What an indicator is: parameters, named outputs, a known lookback, and one call of TA-Lib on clean numbers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, Strict

from ktrdr.execution.component import Component
from ktrdr.execution.data.bars import Bars

Array = NDArray[np.float64]
Source = Literal["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4"]
Period = Annotated[int, Strict(), Field(ge=2, le=100_000)]
"""A number of bars that a recursion or a window needs."""


class Indicator(Component):
    """One indicator with its parameters. `type` names it; `outputs` are what it gives, the first being its own name.

    Sources: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), for RSI, ATR and ADX; the definition
    in force, with its seeds and warm-up, is TA-Lib's.
    """

    type_in_any_case: ClassVar[bool] = True
    outputs: ClassVar[tuple[str, ...]] = ("value",)
    price_scaled: ClassVar[bool] = False
    """Whether values grow with the price, so that they mean different things for different symbols."""

    @property
    @abstractmethod
    def lookback(self) -> int:
        """Bars that pass before every output is defined."""

    @abstractmethod
    def columns(self, bars: Bars) -> tuple[Array, ...]:
        """What the indicator reads, each column of the length of the bars."""

    @abstractmethod
    def values(self, *columns: Array) -> tuple[Array, ...]:
        """The outputs on columns without a gap: TA-Lib's calls."""

    def compute(self, bars: Bars) -> dict[str, Array]:
        """Every output by name, float64, one value a bar, NaN where undefined.

        An undefined input ends a run: the indicator starts anew behind it. (TA-Lib's own answer is a wrong number: its
        RSI is 0 from an interior NaN on.)
        """
        columns = self.columns(bars)
        runs = finite_runs(columns)
        if len(runs) == 1 and runs[0] == slice(0, len(bars)):
            return dict(zip(self.outputs, self.values(*columns), strict=True))
        results = tuple(np.full(len(bars), np.nan) for _ in self.outputs)
        for run in runs:
            for result, value in zip(results, self.values(*(column[run] for column in columns)), strict=True):
                result[run] = value
        return dict(zip(self.outputs, results, strict=True))


class OfOneSeries(Indicator):
    """An indicator of one column: a price, the volume, or a mean of prices."""

    source: Source = "close"

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (source_column(bars, self.source),)


class OfPriceRange(Indicator):
    """An indicator of highs, lows and closes."""

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.high, bars.low, bars.close)


def source_column(bars: Bars, source: Source) -> Array:
    """The column named by `source`; hl2, hlc3 and ohlc4 are means of prices."""
    match source:
        case "hl2":
            return (bars.high + bars.low) / 2
        case "hlc3":
            return (bars.high + bars.low + bars.close) / 3
        case "ohlc4":
            return (bars.open + bars.high + bars.low + bars.close) / 4
        case _:
            column: Array = getattr(bars, source)
            return column


def finite_runs(columns: Sequence[Array]) -> list[slice]:
    """The longest stretches of rows in which every column is finite, in order."""
    finite = np.isfinite(columns[0])
    for column in columns[1:]:
        finite &= np.isfinite(column)
    if finite.all():
        return [slice(0, len(finite))] if len(finite) else []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
