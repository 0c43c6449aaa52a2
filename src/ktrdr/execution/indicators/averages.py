"""Moving averages, and what is measured from them."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

import talib
from pydantic import BeforeValidator, Field, model_validator

from ktrdr.execution.component import Flag, also, refusal
from ktrdr.execution.indicators.base import PERCENT, PRICE, Array, Bars1, OfOneSeries, Period, ratio

Average = Annotated[
    Literal["sma", "ema"],
    BeforeValidator(
        lambda name: name.lower() if isinstance(name, str) else name,
        json_schema_input_type=Literal["sma", "ema", "SMA", "EMA"],
    ),
]


class Sma(OfOneSeries):
    """Simple moving average.

    >>> Sma(type="sma", period=20).lookback
    19
    """

    type: Literal["sma", "simplemovingaverage"] = "sma"
    period: Bars1 = Field(default=20, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"sma": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "sma"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"sma": talib.SMA(columns[0], self.period)}


class Ema(OfOneSeries):
    """Exponential moving average with factor 2 / (period + 1), seeded with the simple average of its first period.

    `adjust` is known from files and has no effect: it says how another library weighs its first values.

    >>> Ema(type="ema", period=20).lookback
    19
    """

    type: Literal["ema", "exponentialmovingaverage"] = "ema"
    period: Bars1 = Field(default=20, validation_alias=also("period", "timeperiod"))
    adjust: Flag | None = None
    outputs: ClassVar[Mapping[str, str]] = {"ema": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "ema"}
    without_effect: ClassVar[tuple[str, ...]] = ("adjust",)

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"ema": talib.EMA(columns[0], self.period)}


class Wma(OfOneSeries):
    """Moving average whose weights fall linearly from `period` at the last bar to 1.

    >>> Wma(type="wma", period=20).lookback
    19
    """

    type: Literal["wma", "weightedmovingaverage"] = "wma"
    period: Bars1 = Field(default=20, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"wma": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "wma"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"wma": talib.WMA(columns[0], self.period)}


class DistanceFromMa(OfOneSeries):
    """Distance of the source from its moving average, in percent of the average; 0 where the average is 0.

    >>> DistanceFromMa(type="distancefromma", period=50, ma_type="EMA").lookback
    49
    """

    type: Literal["distancefromma"] = "distancefromma"
    period: Bars1 = Field(default=20, validation_alias=also("period", "timeperiod"))
    ma_type: Average = "sma"
    outputs: ClassVar[Mapping[str, str]] = {"distance": PERCENT}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        (series,) = columns
        average = (talib.SMA if self.ma_type == "sma" else talib.EMA)(series, self.period)
        return {"distance": ratio(100.0 * (series - average), average, 0.0)}


class Macd(OfOneSeries):
    """Moving average convergence divergence: the line, its signal and their difference (Appel 1979).

    >>> Macd(type="macd").lookback
    33
    """

    type: Literal["macd"] = "macd"
    fast_period: Period = Field(default=12, validation_alias=also("fast_period", "fast", "fastperiod"))
    slow_period: Period = Field(default=26, validation_alias=also("slow_period", "slow", "slowperiod"))
    signal_period: Bars1 = Field(default=9, validation_alias=also("signal_period", "signal", "signalperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"line": PRICE, "signal": PRICE, "histogram": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"macd": "line", "macdsignal": "signal", "macdhist": "histogram"}

    @model_validator(mode="after")
    def _fast_is_faster(self) -> "Macd":
        if self.fast_period >= self.slow_period:
            raise refusal(
                f"fast_period {self.fast_period} is not shorter than slow_period {self.slow_period}",
                "make the fast period the shorter one",
            )
        return self

    @property
    def lookback(self) -> int:
        return self.slow_period + self.signal_period - 2

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        three = talib.MACD(columns[0], self.fast_period, self.slow_period, self.signal_period)
        return dict(zip(self.outputs, three, strict=True))
