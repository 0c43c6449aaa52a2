"""Trend: its strength, its direction, its turning points."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import talib
from pydantic import Field, Strict, model_validator

from ktrdr.execution.component import Flag, Positive, also, refusal
from ktrdr.execution.indicators.base import (
    PRICE,
    Array,
    Bars1,
    OfHighLow,
    OfOneSeries,
    OfPriceRange,
    Period,
    shifted,
)
from ktrdr.execution.labels.turning_points import turning_points

Acceleration = Annotated[float, Strict(), Field(gt=0, le=1)]


class Adx(OfPriceRange):
    """Average directional index and the two directional indicators (Wilder 1978).

    >>> Adx(type="adx", period=14).lookback
    27
    """

    type: Literal["adx"] = "adx"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"adx": "0 to 100", "plus_di": "0 to 100", "minus_di": "0 to 100"}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "adx"}

    @property
    def lookback(self) -> int:
        return 2 * self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        functions = {"adx": talib.ADX, "plus_di": talib.PLUS_DI, "minus_di": talib.MINUS_DI}
        return {name: functions[name](*columns, self.period) for name in wanted}


class Aroon(OfHighLow):
    """How recent the highest high (up) and the lowest low (down) of the last period + 1 bars are (Chande 1995).

    The oscillator is up - down. `include_oscillator` is known from files and has no effect: it is always there.

    >>> Aroon(type="aroon", period=25).lookback
    25
    """

    type: Literal["aroon"] = "aroon"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    include_oscillator: Flag | None = None
    outputs: ClassVar[Mapping[str, str]] = {"up": "0 to 100", "down": "0 to 100", "oscillator": "-100 to 100"}
    output_spellings: ClassVar[Mapping[str, str]] = {"aroonup": "up", "aroondown": "down"}
    without_effect: ClassVar[tuple[str, ...]] = ("source", "include_oscillator")

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        down, up = talib.AROON(*columns, self.period)
        return {"up": up, "down": down, "oscillator": up - down}


class SuperTrend(OfPriceRange):
    """SuperTrend (Seban): a trailing stop at `multiplier` average true ranges from the middle of the bar.

    The stop only moves with the trend; a close beyond it turns the trend and puts the stop on the other side. `trend`
    is the stop, `direction` 1 in an up trend and -1 in a down trend.

    >>> SuperTrend(type="supertrend").lookback
    10
    """

    type: Literal["supertrend"] = "supertrend"
    period: Period = Field(default=10, validation_alias=also("period", "timeperiod"))
    multiplier: Positive = 3.0
    outputs: ClassVar[Mapping[str, str]] = {"trend": PRICE, "direction": "-1 to 1"}
    output_spellings: ClassVar[Mapping[str, str]] = {"supertrend": "trend"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        stop, turns = talib.SUPERTREND(*columns, self.period, self.multiplier)
        direction = turns.astype(np.float64)
        direction[: self.lookback] = np.nan
        return {"trend": stop, "direction": direction}


class ParabolicSar(OfHighLow):
    """Parabolic stop and reverse (Wilder 1978): a stop that closes in on the trend's extreme ever faster.

    >>> ParabolicSar(type="parabolicsar").lookback
    1
    """

    type: Literal["parabolicsar"] = "parabolicsar"
    initial_af: Acceleration = 0.02
    step_af: Acceleration = 0.02
    max_af: Acceleration = 0.2
    outputs: ClassVar[Mapping[str, str]] = {"sar": PRICE}

    @model_validator(mode="after")
    def _starts_below_its_maximum(self) -> "ParabolicSar":
        if self.initial_af > self.max_af:
            raise refusal(
                f"initial_af {self.initial_af:g} above max_af {self.max_af:g}", "start at or below the maximum"
            )
        return self

    @property
    def lookback(self) -> int:
        return 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        acceleration = (self.initial_af, self.step_af, self.max_af)
        return {"sar": np.abs(talib.SAREXT(*columns, 0.0, 0.0, *acceleration, *acceleration))}


class Ichimoku(OfPriceRange):
    """Ichimoku (Hosoda 1969): middles of the ranges of three periods.

    The spans are those of `displacement` bars ago, as charts draw them at the present bar, so they are known. `chikou`
    is the close `displacement` bars later: it can be drawn, and no model may see it.

    >>> Ichimoku(type="ichimoku").lookback
    77
    """

    type: Literal["ichimoku"] = "ichimoku"
    tenkan_period: Period = 9
    kijun_period: Period = 26
    senkou_b_period: Period = 52
    displacement: Bars1 = 26
    outputs: ClassVar[Mapping[str, str]] = {
        "tenkan": PRICE,
        "kijun": PRICE,
        "senkou_a": PRICE,
        "senkou_b": PRICE,
        "chikou": PRICE,
    }
    needs_future: ClassVar[Mapping[str, str]] = {"chikou": "it is the close of a later bar"}

    @property
    def lookback(self) -> int:
        return max(self.tenkan_period, self.kijun_period, self.senkou_b_period) - 1 + self.displacement

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        high, low, close = columns
        tenkan, kijun = (talib.MIDPRICE(high, low, period) for period in (self.tenkan_period, self.kijun_period))
        span_b = talib.MIDPRICE(high, low, self.senkou_b_period)
        return {
            "tenkan": tenkan,
            "kijun": kijun,
            "senkou_a": shifted((tenkan + kijun) / 2.0, self.displacement),
            "senkou_b": shifted(span_b, self.displacement),
            "chikou": shifted(close, -self.displacement),
        }


class Zigzag(OfOneSeries):
    """The source at the confirmed turning points of a zigzag of that relative size, undefined between them.

    The definition is the zigzag labels'. Whether a bar was a turning point is known only once the price has moved
    `threshold` away from it, so no model may see it.

    >>> Zigzag(type="zigzag", threshold=0.05).lookback
    0
    """

    type: Literal["zigzag"] = "zigzag"
    threshold: Annotated[float, Strict(), Field(gt=0, lt=1)] = 0.05
    outputs: ClassVar[Mapping[str, str]] = {"zigzag": PRICE}
    needs_future: ClassVar[Mapping[str, str]] = {"zigzag": "a turning point is known only by the bars after it"}

    @property
    def lookback(self) -> int:
        return 0

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        (series,) = columns
        points = turning_points(series, np.full(len(series), self.threshold))[0]
        result = np.full(len(series), np.nan)
        result[points] = series[points]
        return {"zigzag": result}
