"""Volume: how much was traded, and on which side of the price."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import talib
from pydantic import Field, Strict

from ktrdr.execution.component import Flag, also
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.base import (
    PERCENT,
    PRICE,
    VOLUME,
    Array,
    Bars1,
    Indicator,
    OfPriceRangeAndVolume,
    Period,
    all_zero,
    ratio,
)


class Mfi(OfPriceRangeAndVolume):
    """Money flow index: the relative strength index of typical price × volume (Quong and Soudack 1989).

    >>> Mfi(type="mfi", period=14).lookback
    14
    """

    type: Literal["mfi"] = "mfi"
    period: Period = Field(default=14, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {"mfi": "0 to 100"}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "mfi"}

    @property
    def lookback(self) -> int:
        return self.period

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"mfi": talib.MFI(*columns, self.period)}


class Obv(Indicator):
    """On-balance volume (Granville 1963): the first bar's volume, then + volume on a rise, - volume on a fall.

    A sum over the whole series: its level says when the series began.

    >>> Obv(type="obv").lookback
    0
    """

    type: Literal["obv"] = "obv"
    outputs: ClassVar[Mapping[str, str]] = {"obv": VOLUME}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "obv"}

    @property
    def lookback(self) -> int:
        return 0

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.close, bars.volume)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        return {"obv": talib.OBV(*columns)}


class VolumeRatio(Indicator):
    """Volume over its simple average of the period, the present bar included; 1 where nothing was traded.

    >>> VolumeRatio(type="volumeratio", period=20).lookback
    19
    """

    type: Literal["volumeratio"] = "volumeratio"
    period: Bars1 = 20
    outputs: ClassVar[Mapping[str, str]] = {"ratio": "ratio"}

    @property
    def lookback(self) -> int:
        return self.period - 1

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return (bars.volume,)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        (volume,) = columns
        average = talib.SMA(volume, self.period)
        average[all_zero(volume, self.period)] = 0.0
        return {"ratio": ratio(volume, average, 1.0)}


class Vwap(OfPriceRangeAndVolume):
    """Volume-weighted average price of the last `period` bars; `period` 0 counts from the start of the series.

    KTRDR's window instead of a session's, as most series have none. The price is (high + low + close) / 3, or the close
    when `use_typical_price` is false. Where nothing was traded every bar has the same weight.

    >>> Vwap(type="vwap", period=20).lookback
    19
    """

    type: Literal["vwap"] = "vwap"
    period: Annotated[int, Strict(), Field(ge=0, le=100_000)] = 20
    use_typical_price: Flag = True
    outputs: ClassVar[Mapping[str, str]] = {"vwap": PRICE}
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "vwap"}

    @property
    def lookback(self) -> int:
        return max(self.period - 1, 0)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        high, low, close, volume = columns
        price = (high + low + close) / 3.0 if self.use_typical_price else close
        if self.period == 0:
            plain = np.cumsum(price) / np.arange(1.0, len(price) + 1.0)
            return {"vwap": ratio(np.cumsum(price * volume), np.cumsum(volume), plain)}
        traded = talib.SMA(volume, self.period)
        traded[all_zero(volume, self.period)] = 0.0
        return {"vwap": ratio(talib.SMA(price * volume, self.period), traded, talib.SMA(price, self.period))}


class AdLine(OfPriceRangeAndVolume):
    """Accumulation/distribution line (Chaikin): the running sum of the money flow volume.

    The money flow multiplier says where the close lies in the bar, -1 to 1, 0 where the bar has no range; times volume
    it is the money flow volume. `use_sma_smoothing` averages the line over `smoothing_period`. The rest is the line's:
    its change over 10 bars in percent and over 21 bars, and its distance from its average of 50 bars in percent (0
    where the divisor is 0).

    >>> AdLine(type="adline").lookback
    49
    """

    type: Literal["adline"] = "adline"
    use_sma_smoothing: Flag = False
    smoothing_period: Bars1 = 21
    outputs: ClassVar[Mapping[str, str]] = {
        "line": VOLUME,
        "mf_multiplier": "-1 to 1",
        "mf_volume": VOLUME,
        "roc_10": PERCENT,
        "momentum_21": VOLUME,
        "relative_strength": PERCENT,
    }

    @property
    def lookback(self) -> int:
        return max(49, self.smoothing_period - 1 if self.use_sma_smoothing else 0)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        line = talib.AD(*columns)
        results = {"line": talib.SMA(line, self.smoothing_period) if self.use_sma_smoothing else line}
        if set(wanted) <= {"line"}:
            return results
        multiplier, average = money_flow_multiplier(*columns[:3]), talib.SMA(line, 50)
        return results | {
            "mf_multiplier": multiplier,
            "mf_volume": multiplier * columns[3],
            "roc_10": talib.ROC(line, 10),
            "momentum_21": talib.MOM(line, 21),
            "relative_strength": ratio(100.0 * (line - average), average, 0.0),
        }


class Cmf(OfPriceRangeAndVolume):
    """Chaikin money flow: money flow volume over volume, both summed over the period; 0 where nothing was traded.

    Beside it the bar's own money flow (see adline), the flow's change over 5 bars, its exponential average of 9 bars as
    a signal with the difference as histogram, and whether it is above or below 0, as 1 or 0.

    >>> Cmf(type="cmf", period=20).lookback
    27
    """

    type: Literal["cmf"] = "cmf"
    period: Period = Field(default=21, validation_alias=also("period", "timeperiod"))
    outputs: ClassVar[Mapping[str, str]] = {
        "cmf": "-1 to 1",
        "mf_multiplier": "-1 to 1",
        "mf_volume": VOLUME,
        "momentum": "-2 to 2",
        "signal": "-1 to 1",
        "histogram": "-2 to 2",
        "above_zero": "0 to 1",
        "below_zero": "0 to 1",
    }
    output_spellings: ClassVar[Mapping[str, str]] = {"real": "cmf"}

    @property
    def lookback(self) -> int:
        return self.period + 7

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        flow = talib.CMF(*columns, self.period)
        if set(wanted) <= {"cmf"}:
            return {"cmf": flow}
        multiplier, signal, defined = money_flow_multiplier(*columns[:3]), talib.EMA(flow, 9), np.isfinite(flow)
        return {
            "cmf": flow,
            "mf_multiplier": multiplier,
            "mf_volume": multiplier * columns[3],
            "momentum": talib.MOM(flow, 5),
            "signal": signal,
            "histogram": flow - signal,
            "above_zero": np.where(defined, flow > 0.0, np.nan),
            "below_zero": np.where(defined, flow < 0.0, np.nan),
        }


def money_flow_multiplier(high: Array, low: Array, close: Array) -> Array:
    """((close - low) - (high - close)) / (high - low), 0 where the bar has no range."""
    return ratio((close - low) - (high - close), high - low, 0.0)
