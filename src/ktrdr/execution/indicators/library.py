"""The indicators themselves. A new one is a class here and a name in the union below."""

from typing import Annotated, ClassVar, Literal

import talib
from pydantic import Field, Strict, model_validator

from ktrdr.execution.component import Positive, also, refusal
from ktrdr.execution.indicators.base import Array, Indicator, OfOneSeries, OfPriceRange, Period

Bars1 = Annotated[int, Strict(), Field(ge=1, le=100_000)]


class Rsi(OfOneSeries):
    """Relative strength index, 0 to 100 (Wilder 1978).

    >>> Rsi(type="rsi", period=14).lookback
    14
    """

    type: Literal["rsi"] = "rsi"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("rsi",)

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return (talib.RSI(columns[0], self.period),)


class Sma(OfOneSeries):
    """Simple moving average, in the unit of its source.

    >>> Sma(type="sma", period=20).lookback
    19
    """

    type: Literal["sma", "simplemovingaverage"] = "sma"
    period: Period = Field(default=20, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("sma",)
    price_scaled: ClassVar[bool] = True

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return (talib.SMA(columns[0], self.period),)


class Ema(OfOneSeries):
    """Exponential moving average with factor 2 / (period + 1), seeded with the simple average of its first period.

    >>> Ema(type="ema", period=20).lookback
    19
    """

    type: Literal["ema", "exponentialmovingaverage"] = "ema"
    period: Period = Field(default=20, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("ema",)
    price_scaled: ClassVar[bool] = True

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return (talib.EMA(columns[0], self.period),)


class Macd(OfOneSeries):
    """Moving average convergence divergence: the line, its signal and their difference, in the unit of the source.

    >>> Macd(type="macd").lookback
    33
    """

    type: Literal["macd"] = "macd"
    fast_period: Period = Field(default=12, validation_alias=also("fast_period", "fast", "fastperiod"))
    slow_period: Period = Field(default=26, validation_alias=also("slow_period", "slow", "slowperiod"))
    signal_period: Bars1 = Field(default=9, validation_alias=also("signal_period", "signal", "signalperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("line", "signal", "histogram")
    price_scaled: ClassVar[bool] = True

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

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return tuple(talib.MACD(columns[0], self.fast_period, self.slow_period, self.signal_period))


class Atr(OfPriceRange):
    """Average true range, in the unit of the price (Wilder 1978).

    >>> Atr(type="atr", period=14).lookback
    14
    """

    type: Literal["atr"] = "atr"
    period: Bars1 = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("atr",)
    price_scaled: ClassVar[bool] = True

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, *columns: Array) -> tuple[Array, ...]:
        high, low, close = columns
        return (talib.ATR(high, low, close, self.period),)


class Adx(OfPriceRange):
    """Average directional index and the two directional indicators, 0 to 100 (Wilder 1978).

    >>> Adx(type="adx", period=14).lookback
    27
    """

    type: Literal["adx"] = "adx"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("adx", "plus_di", "minus_di")

    @property
    def lookback(self) -> int:
        return 2 * self.period - 1

    def values(self, *columns: Array) -> tuple[Array, ...]:
        high, low, close = columns
        return (
            talib.ADX(high, low, close, self.period),
            talib.PLUS_DI(high, low, close, self.period),
            talib.MINUS_DI(high, low, close, self.period),
        )


class BollingerBands(OfOneSeries):
    """Bands of `multiplier` population standard deviations around the simple average, in the unit of the source.

    >>> BollingerBands(type="bbands").lookback
    19
    """

    type: Literal["bbands", "bollingerbands"] = "bbands"
    period: Period = Field(default=20, validation_alias=also("period", "timeperiod"))
    multiplier: Positive = 2.0
    outputs: ClassVar[tuple[str, ...]] = ("upper", "middle", "lower")
    price_scaled: ClassVar[bool] = True

    @property
    def lookback(self) -> int:
        return self.period - 1

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return tuple(talib.BBANDS(columns[0], self.period, self.multiplier, self.multiplier))


class Roc(OfOneSeries):
    """Rate of change over the period, in percent.

    >>> Roc(type="roc", period=10).lookback
    10
    """

    type: Literal["roc"] = "roc"
    period: Bars1 = Field(default=10, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[tuple[str, ...]] = ("roc",)

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, *columns: Array) -> tuple[Array, ...]:
        return (talib.ROC(columns[0], self.period),)


class Stochastic(OfPriceRange):
    """Stochastic oscillator: smoothed %K and its average %D, 0 to 100.

    >>> Stochastic(type="stochastic").lookback
    17
    """

    type: Literal["stochastic"] = "stochastic"
    k_period: Bars1 = Field(default=14, validation_alias=also("k_period", "fastk_period"))
    smooth_k: Bars1 = Field(default=3, validation_alias=also("smooth_k", "slowk_period"))
    d_period: Bars1 = Field(default=3, validation_alias=also("d_period", "slowd_period"))
    outputs: ClassVar[tuple[str, ...]] = ("k", "d")

    @property
    def lookback(self) -> int:
        return self.k_period + self.smooth_k + self.d_period - 3

    def values(self, *columns: Array) -> tuple[Array, ...]:
        high, low, close = columns
        return tuple(
            talib.STOCH(
                high,
                low,
                close,
                fastk_period=self.k_period,
                slowk_period=self.smooth_k,
                slowd_period=self.d_period,
            )
        )


AnyIndicator = Annotated[
    Rsi | Sma | Ema | Macd | Atr | Adx | BollingerBands | Roc | Stochastic, Field(discriminator="type")
]
"""The registry: every indicator there is."""

INDICATORS: tuple[type[Indicator], ...] = (Rsi, Sma, Ema, Macd, Atr, Adx, BollingerBands, Roc, Stochastic)
