"""Momentum: how fast and how far the price has moved, most of it as an oscillator."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import talib
from numba import njit
from pydantic import Field, Strict
from talib import abstract

from ktrdr.execution.component import also
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.base import (
    PERCENT,
    PRICE,
    Array,
    Bars1,
    Indicator,
    OfOneSeries,
    OfPriceRange,
    Period,
    Source,
    all_zero,
    ratio,
    shifted,
)

AverageType = Annotated[int, Strict(), Field(ge=0, le=13)]
"""TA-Lib's number of a moving average: 0 simple, 1 exponential, 2 weighted, …"""


class Rsi(OfOneSeries):
    """Relative strength index (Wilder 1978).

    >>> Rsi(type="rsi", period=14).lookback
    14
    """

    type: Literal["rsi"] = "rsi"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"rsi": "0 to 100"}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "rsi"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"rsi": talib.RSI(columns[0], self.period)}


class Roc(OfOneSeries):
    """Rate of change over the period; 0 where the earlier value is 0.

    >>> Roc(type="roc", period=10).lookback
    10
    """

    type: Literal["roc"] = "roc"
    period: Bars1 = Field(default=10, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"roc": PERCENT}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "roc"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"roc": talib.ROC(columns[0], self.period)}


class Momentum(OfOneSeries):
    """The change over the period.

    >>> Momentum(type="momentum", period=10).lookback
    10
    """

    type: Literal["momentum"] = "momentum"
    period: Bars1 = Field(default=10, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"momentum": PRICE}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"momentum": talib.MOM(columns[0], self.period)}


class Cci(OfPriceRange):
    """Commodity channel index: the typical price's distance from its average, in 0.015 mean deviations (Lambert 1980).

    >>> Cci(type="cci", period=20).lookback
    19
    """

    type: Literal["cci"] = "cci"
    period: Period = Field(default=20, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"cci": "mostly -200 to 200, unbounded"}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "cci"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"cci": talib.CCI(*columns, self.period)}


class WilliamsR(OfPriceRange):
    """Williams %R: where the close lies in the range of the period, 0 at its top; 0 where there is no range.

    >>> WilliamsR(type="williamsr", period=14).lookback
    13
    """

    type: Literal["williamsr", "williams_r"] = "williamsr"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"williamsr": "-100 to 0"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"williamsr": talib.WILLR(*columns, self.period)}


class Stochastic(OfPriceRange):
    """Stochastic oscillator: smoothed %K and its average %D.

    >>> Stochastic(type="stochastic").lookback
    17
    """

    type: Literal["stochastic", "stoch"] = "stochastic"
    k_period: Bars1 = Field(default=14, validation_alias=also("k_period", "fastk_period"))
    smooth_k: Bars1 = Field(default=3, validation_alias=also("smooth_k", "slowk_period"))
    d_period: Bars1 = Field(default=3, validation_alias=also("d_period", "slowd_period"))
    slowk_matype: AverageType = 0
    slowd_matype: AverageType = 0
    outputs: ClassVar[Mapping[str, str]] = {"k": "0 to 100", "d": "0 to 100"}
    output_spellings: ClassVar[Mapping[str, str]] = {"slowk": "k", "slowd": "d"}

    @property
    def _parameters(self) -> tuple[int, ...]:
        return (self.k_period, self.smooth_k, self.slowk_matype, self.d_period, self.slowd_matype)

    @property
    def lookback(self) -> int:
        return int(abstract.Function("STOCH", *self._parameters).lookback)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return dict(zip(self.outputs, talib.STOCH(*columns, *self._parameters), strict=True))


class FisherTransform(OfOneSeries):
    """Fisher transform of where the source lies in its range of the period, and the same one bar before as its signal.

    Ehlers, Using the Fisher Transform (Stocks & Commodities 20:11, 2002), with his weights: the place in the range, -1
    to 1, is smoothed by a third and held below 0.999; its transform gathers with factor 1 - 2 / (smoothing + 1), which
    at the default is his 0.5. Where there is no range the place is the middle. The recursion starts at 0.

    >>> FisherTransform(type="fishertransform", period=10).lookback
    10
    """

    type: Literal["fishertransform"] = "fishertransform"
    period: Period = 10
    smoothing: Bars1 = 3
    source: Source = "hl2"
    outputs: ClassVar[Mapping[str, str]] = {"fisher": "mostly -3 to 3, unbounded", "signal": "as fisher"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        (series,) = columns
        low, high = talib.MIN(series, self.period), talib.MAX(series, self.period)
        place = 2.0 * ratio(series - low, high - low, 0.5) - 1.0
        fisher = _fisher(place, self.period - 1, 1.0 - 2.0 / (self.smoothing + 1.0))
        return {"fisher": fisher, "signal": shifted(fisher, 1)}


@njit(cache=True)
def _fisher(place: Array, first: int, kept: float) -> Array:
    """The recursion over places in the range, from the bar `first` on."""
    result = np.full(len(place), np.nan)
    smooth = gathered = 0.0
    for bar in range(first, len(place)):
        smooth = min(max(0.33 * place[bar] + 0.67 * smooth, -0.999), 0.999)
        gathered = 0.5 * np.log((1.0 + smooth) / (1.0 - smooth)) + kept * gathered
        result[bar] = gathered
    return result


class Rvi(Indicator):
    """Relative vigor index: how much of the bars' ranges closed up, and its signal; 0 where there was no range.

    Ehlers, Relative Vigor Index (Stocks & Commodities 20:1, 2002): close - open and high - low are weighted 1, 2, 2, 1
    over four bars and summed over the period; the signal weights the index likewise. These weights are a triangular
    average's, and so is the signal for any `signal_period`.

    >>> Rvi(type="rvi", period=10).lookback
    15
    """

    type: Literal["rvi"] = "rvi"
    period: Period = 10
    signal_period: Bars1 = 4
    outputs: ClassVar[Mapping[str, str]] = {"rvi": "-1 to 1", "signal": "-1 to 1"}

    @property
    def lookback(self) -> int:
        return self.period + 2 + self.signal_period - 1

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.open, bars.high, bars.low, bars.close)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        open_, high, low, close = columns
        ranges = high - low
        vigour, span = (talib.SMA(talib.TRIMA(series, 4), self.period) for series in (close - open_, ranges))
        span[all_zero(ranges, self.period + 3)] = 0.0
        index = ratio(vigour, span, 0.0)
        return {"rvi": index, "signal": talib.TRIMA(index, self.signal_period)}
