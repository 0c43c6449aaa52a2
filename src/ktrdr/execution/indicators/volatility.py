"""Volatility: ranges, bands and channels."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import talib
from pydantic import Field, model_validator
from talib import abstract

from ktrdr.execution.component import Flag, Number, Positive, also, refusal
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.base import (
    PRICE,
    Array,
    Bars1,
    Indicator,
    OfHighLow,
    OfOneSeries,
    OfPriceRange,
    Period,
    Source,
    ratio,
    source_column,
)
from ktrdr.execution.indicators.momentum import AverageType


class Atr(OfPriceRange):
    """Average true range (Wilder 1978).

    >>> Atr(type="atr", period=14).lookback
    14
    """

    type: Literal["atr"] = "atr"
    period: Bars1 = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"atr": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "atr"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"atr": talib.ATR(*columns, self.period)}


class BollingerBands(OfOneSeries):
    """Bands of `multiplier` population standard deviations around a moving average (Bollinger 2001).

    TA-Lib's `nbdevup` and `nbdevdn` replace the multiplier on one side; `matype` is the number of its moving average.

    >>> BollingerBands(type="bbands").lookback
    19
    """

    type: Literal["bbands", "bollingerbands"] = "bbands"
    period: Period = Field(default=20, validation_alias=also("period", "timeperiod"))
    multiplier: Positive = 2.0
    nbdevup: Number | None = None
    nbdevdn: Number | None = None
    matype: AverageType = 0
    outputs: ClassVar[Mapping[str, str]] = {"upper": PRICE, "middle": PRICE, "lower": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {
        "upperband": "upper",
        "middleband": "middle",
        "lowerband": "lower",
    }

    @property
    def _parameters(self) -> tuple[float, ...]:
        up = self.multiplier if self.nbdevup is None else self.nbdevup
        down = self.multiplier if self.nbdevdn is None else self.nbdevdn
        return (self.period, up, down, self.matype)

    @property
    def lookback(self) -> int:
        return int(abstract.Function("BBANDS", *self._parameters).lookback)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return dict(zip(self.outputs, talib.BBANDS(columns[0], *self._parameters), strict=True))


class BollingerBandWidth(OfOneSeries):
    """Distance of the Bollinger bands over their middle, a ratio; 0 where the middle is 0.

    >>> BollingerBandWidth(type="bollingerbandwidth", period=20).lookback
    19
    """

    type: Literal["bollingerbandwidth"] = "bollingerbandwidth"
    period: Period = Field(default=20, validation_alias=also("period", "bb_period", "timeperiod"))
    multiplier: Positive = Field(default=2.0, validation_alias=also("multiplier", "bb_multiplier"))
    outputs: ClassVar[Mapping[str, str]] = {"bandwidth": "ratio"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        upper, middle, lower = talib.BBANDS(columns[0], self.period, self.multiplier, self.multiplier)
        return {"bandwidth": ratio(upper - lower, middle, 0.0)}


class KeltnerChannels(Indicator):
    """Channels of `multiplier` average true ranges around an exponential average of the source.

    Keltner's channels as Raschke changed them (StockCharts' definition): EMA(20) and ATR(10), which is Wilder's.

    >>> KeltnerChannels(type="keltnerchannels").lookback
    19
    """

    type: Literal["keltnerchannels"] = "keltnerchannels"
    period: Bars1 = 20
    atr_period: Bars1 = 10
    multiplier: Positive = 2.0
    source: Source = "close"
    without_effect: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[Mapping[str, str]] = {"upper": PRICE, "middle": PRICE, "lower": PRICE}

    @property
    def lookback(self) -> int:
        return max(self.period - 1, self.atr_period)

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (source_column(bars, self.source), bars.high, bars.low, bars.close)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        series, *prices = columns
        middle = talib.EMA(series, self.period)
        width = self.multiplier * talib.ATR(*prices, self.atr_period)
        return {"upper": middle + width, "middle": middle, "lower": middle - width}


class DonchianChannels(OfHighLow):
    """Highest high and lowest low of the last `period` bars, the present one included, and their middle (Donchian).

    `include_middle` is known from files and has no effect: the middle is always there.

    >>> DonchianChannels(type="donchianchannels").lookback
    19
    """

    type: Literal["donchianchannels"] = "donchianchannels"
    period: Period = 20
    include_middle: Flag | None = None
    outputs: ClassVar[Mapping[str, str]] = {"upper": PRICE, "middle": PRICE, "lower": PRICE}
    without_effect: ClassVar[tuple[str, ...]] = ("source", "include_middle")

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return dict(zip(self.outputs, talib.DONCHIAN(*columns, self.period), strict=True))


class SqueezeIntensity(Indicator):
    """How far the Bollinger bands lie inside the Keltner channels, as a part of the channels' width; 0 when outside.

    KTRDR's measure of the squeeze (Carter, Mastering the Trade, 2005): the smaller of the two distances between the
    lines. As both sides share one width it cannot exceed 0.5. `period` sets both periods; the channels' average true
    range is of 10 bars; where the channels have no width there is no squeeze.

    >>> SqueezeIntensity.model_validate({"type": "squeezeintensity", "period": 30}).kc_period
    30
    """

    type: Literal["squeezeintensity"] = "squeezeintensity"
    bb_period: Period = 20
    bb_multiplier: Positive = 2.0
    kc_period: Bars1 = 20
    kc_multiplier: Positive = 2.0
    source: Source = "close"
    without_effect: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[Mapping[str, str]] = {"squeeze": "0 to 0.5"}

    @model_validator(mode="before")
    @classmethod
    def _both_periods(cls, written: Any) -> Any:
        if not isinstance(written, dict) or "period" not in written:
            return written
        if {"bb_period", "kc_period"} & set(written):
            raise refusal("period beside bb_period or kc_period", "period sets both: keep it, or the two")
        rest = {key: value for key, value in written.items() if key != "period"}
        return {**rest, "bb_period": written["period"], "kc_period": written["period"]}

    @classmethod
    def known_keys(cls) -> list[str]:
        return [*super().known_keys(), "period"]

    @property
    def _channels(self) -> KeltnerChannels:
        return KeltnerChannels(period=self.kc_period, multiplier=self.kc_multiplier)

    @property
    def lookback(self) -> int:
        return max(self.bb_period - 1, self._channels.lookback)

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (source_column(bars, self.source), bars.high, bars.low, bars.close)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        series, high, low, close = columns
        upper, _, lower = talib.BBANDS(series, self.bb_period, self.bb_multiplier, self.bb_multiplier)
        channels = self._channels.values((), close, high, low, close)
        inside = np.minimum(channels["upper"] - upper, lower - channels["lower"])
        return {"squeeze": np.maximum(ratio(inside, channels["upper"] - channels["lower"], 0.0), 0.0)}
