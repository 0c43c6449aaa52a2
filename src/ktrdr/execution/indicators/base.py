"""What an indicator is: parameters, named outputs, a known lookback, and vectorised work on numbers without a gap."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import talib
from numpy.typing import NDArray
from pydantic import Field, Strict

from ktrdr.execution.component import Component
from ktrdr.execution.data.bars import COLUMNS, Bars
from ktrdr.execution.data.timeframes import OBSERVED, parse_timeframe

Array = NDArray[np.float64]
Source = Literal["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4"]
Bars1 = Annotated[int, Strict(), Field(ge=1, le=100_000)]
"""A number of bars."""
Period = Annotated[int, Strict(), Field(ge=2, le=100_000)]
"""A number of bars that a recursion or a window needs."""

PRICE = "price"
VOLUME = "volume"
PERCENT = "percent"


class Indicator(Component):
    """One indicator with its parameters.

    Sources: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), for RSI, ATR and ADX; the definition
    in force, with its seeds and warm-up, is TA-Lib's.
    """

    type_in_any_case: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, str]]
    """The unit of each output; the first output is what a bare id means. A unit `a to b` is a bound."""
    output_spellings: ClassVar[Mapping[str, str]] = {}
    """Other names of outputs: TA-Lib's, where KTRDR has its own."""
    needs_future: ClassVar[Mapping[str, str]] = {}
    """Outputs whose value depends on later bars, and why: they can be computed and are no input of a model."""
    without_effect: ClassVar[tuple[str, ...]] = ("source",)
    """Parameters that files carry and the definition does not ask for."""

    source: Source | None = None
    data_source: str | None = None
    """Another series that it reads, by the name that `context_data` gives it; else the symbol's own bars."""

    @property
    @abstractmethod
    def lookback(self) -> int:
        """Bars that pass before every output is defined."""

    @abstractmethod
    def columns(self, bars: Bars) -> tuple[Array, ...]:
        """What the indicator reads, each column of the length of the bars."""

    @abstractmethod
    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        """At least the outputs wanted, on columns without a gap; NaN before the lookback, never infinite."""

    def compute(self, bars: Bars, outputs: Iterable[str] | None = None) -> dict[str, Array]:
        """The outputs named (every one when none is named), float64, one value a bar, NaN where undefined.

        An undefined input ends a run: the indicator starts anew behind it. (TA-Lib's own answer is a wrong number: its
        RSI is 0 from an interior NaN on.)
        """
        wanted = tuple(self.outputs if outputs is None else outputs)
        columns = self.columns(bars)
        runs = finite_runs(columns)
        if len(runs) == 1 and runs[0] == slice(0, len(bars)):
            values = self.values(wanted, *columns)
            return {name: values[name] for name in wanted}
        results = {name: np.full(len(bars), np.nan) for name in wanted}
        for run in runs:
            values = self.values(wanted, *(column[run] for column in columns))
            for name, result in results.items():
                result[run] = values[name]
        return results

    def reads_only(self, *prices: str) -> bool:
        """Whether these prices are all that it reads of bars."""
        known, unknown = np.ones(1), np.full(1, np.nan)
        columns: dict[str, Any] = {name: known if name in prices else unknown for name in COLUMNS[1:]}
        probe = Bars("probe", parse_timeframe("1d"), OBSERVED, np.zeros(1, dtype=np.int64), **columns)
        return all(np.isfinite(column).all() for column in self.columns(probe))

    @classmethod
    def output_named(cls, name: str | None) -> str | None:
        """The output that a reference names, the first where it names none, None where there is no such output."""
        if name is None:
            return next(iter(cls.outputs))
        name = cls.output_spellings.get(name, name)
        return name if name in cls.outputs else None

    @classmethod
    def grows_with_price(cls, output: str) -> bool:
        """Whether values are in the unit of the price, so that they mean different things for different symbols."""
        return PRICE in cls.outputs[output]

    def ineffective(self) -> list[str]:
        """Parameters that were written and change nothing."""
        return [name for name in self.without_effect if getattr(self, name) is not None]


class OfOneSeries(Indicator):
    """An indicator of one column: a price, the volume, or a mean of prices."""

    without_effect: ClassVar[tuple[str, ...]] = ()
    source: Source = "close"

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (source_column(bars, self.source),)


class OfHighLow(Indicator):
    """An indicator of highs and lows."""

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.high, bars.low)


class OfPriceRange(Indicator):
    """An indicator of highs, lows and closes."""

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.high, bars.low, bars.close)


class OfPriceRangeAndVolume(Indicator):
    """An indicator of highs, lows, closes and volumes."""

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.high, bars.low, bars.close, bars.volume)


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


def ratio(numerator: Array, denominator: Array, otherwise: float | Array) -> Array:
    """The quotient, and what it is `otherwise`, where the denominator is 0."""
    result = np.empty_like(numerator)
    result[:] = otherwise
    return np.divide(numerator, denominator, out=result, where=denominator != 0)


def all_zero(series: Array, period: int) -> NDArray[np.bool_]:
    """Whether a series without negative values was 0 throughout the last `period` bars.

    A maximum is exact; a running sum keeps the rounding errors of what has left its window.
    """
    highest = talib.MAX(series, period) if period > 1 else series
    return np.asarray(highest == 0.0)


def shifted(values: Array, bars: int) -> Array:
    """The values `bars` bars later (earlier when negative), NaN where there is none."""
    result = np.full_like(values, np.nan)
    if bars >= 0:
        result[bars:] = values[: max(len(values) - bars, 0)]
    else:
        result[:bars] = values[-bars:]
    return result


def finite_runs(columns: Sequence[Array]) -> list[slice]:
    """The longest stretches of rows in which every column is finite, in order."""
    finite = np.isfinite(columns[0])
    for column in columns[1:]:
        finite &= np.isfinite(column)
    if finite.all():
        return [slice(0, len(finite))] if len(finite) else []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
