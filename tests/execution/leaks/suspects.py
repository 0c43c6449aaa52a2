"""Components that do what they must not, and a bench to check them on."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

import numpy as np
import talib
from tests.support import random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.builder import FeatureBuilder, FeatureMatrix, Series
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.fuzzy.memberships import Membership
from ktrdr.execution.indicators.base import Array, Indicator, OfOneSeries
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.labels.base import Labeler, Labels
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.leaks.check import LeakCheck
from ktrdr.execution.leaks.findings import Findings
from ktrdr.execution.market import Market
from ktrdr.execution.strategy.inputs import TrainingData


class Leaky(OfOneSeries):
    """Knows the future in one of several ways; `honest` is the one that does not."""

    type: Literal["leaky"] = "leaky"
    way: Literal["next_bar", "far", "smooth", "whole_sample", "trade_of_a_day", "honest"]
    outputs: ClassVar[Mapping[str, str]] = {"value": "price"}

    @property
    def lookback(self) -> int:
        return 0

    def values(self, wanted: Collection[str], *columns: Array) -> dict[str, Array]:
        return {"value": self._value(*columns)}

    def _value(self, close: Array) -> Array:
        match self.way:
            case "next_bar":
                return np.append(close[1:], close[-1:])
            case "far":  # a hundred bars ahead, where there are as many
                return np.append(close[100:], np.repeat(close[-1:], min(100, len(close))))
            case "smooth":  # a centred average
                padded = np.pad(close, 2, mode="edge")
                return np.convolve(padded, np.full(5, 0.2), mode="valid")
            case "whole_sample":
                return (close - close.mean()) / (close.std() or 1.0)
            case "trade_of_a_day":  # tells a jump of the next bar, and nothing else
                jumps = np.append(np.diff(close) > close[:-1] * 0.01, [False])
                return jumps.astype(np.float64)
            case _:
                return close.copy()


class Moving(OfOneSeries):
    """An average with an exponential memory or a window, or a sum that never forgets."""

    type: Literal["moving"] = "moving"
    memory: Literal["window", "exponential", "endless"]
    period: int = 50
    outputs: ClassVar[Mapping[str, str]] = {"value": "price"}

    @property
    def lookback(self) -> int:
        return 0 if self.memory == "endless" else self.period - 1

    def values(self, wanted: Collection[str], *columns: Array) -> dict[str, Array]:
        (close,) = columns
        if self.memory == "endless":
            return {"value": np.cumsum(close)}
        return {"value": (talib.SMA if self.memory == "window" else talib.EMA)(close, self.period)}


class EarlyLabeler(TripleBarrier):
    """Says that it knew each label two bars before it did."""

    def label(self, bars: Bars) -> Labels:
        labels = super().label(bars)
        known = np.where(labels.known_at >= 0, np.maximum(labels.known_at - 2, np.arange(len(bars))), labels.known_at)
        return Labels(label=labels.label, known_at=known, event=labels.event, tail=labels.tail)


class HindsightEvents(TripleBarrier):
    """Takes the bars before a large move for events."""

    def events(self, bars: Bars) -> np.ndarray:
        move = np.append(np.abs(np.diff(np.log(bars.close))), 0.0)
        return np.asarray(move > 0.002)


def column(
    name: str,
    timeframe: str = "1h",
    membership: Membership | None = None,
    reference: str | None = None,
    source: str | None = None,
) -> FeatureColumn:
    return FeatureColumn(f"{timeframe}_{name}", timeframe, reference or name, membership, "none", source=source)


class Bench:
    """Two symbols with hours and four-hour bars, and features of these indicators."""

    def __init__(
        self,
        indicators: Mapping[str, Indicator],
        columns: tuple[FeatureColumn, ...],
        *,
        labeler: Labeler | None = None,
        history_required: int = 60,
        count: int = 1_600,
        seed: int = 3,
        others: Mapping[str, Bars] | None = None,
    ) -> None:
        """`others` are series that columns name as their source."""
        series = []
        for number, symbol in enumerate(("ONE", "TWO")):
            hours = random_bars(number, count, symbol=symbol)
            fours = random_bars(number + 10, count // 4, symbol=symbol, timeframe="4h")
            series.append(Series(symbol=symbol, base_timeframe="1h", bars={"1h": hours, "4h": fours, **(others or {})}))
        self.market = Market(series=tuple(series))
        self.features = FeatureBuilder(columns, IndicatorEngine(indicators), FuzzyEngine())
        self.data = TrainingData.model_validate(
            {
                "symbols": {"mode": "multi_symbol", "list": ["ONE", "TWO"]},
                "timeframes": {"mode": "multi_timeframe", "list": ["1h", "4h"]},
                "history_required": history_required,
            }
        )
        self.labeler = labeler or TripleBarrier(max_holding_period=20, vol_span=20)
        self.seed = seed

    @property
    def matrices(self) -> list[FeatureMatrix]:
        return [self.features.build(series) for series in self.market.series]

    @property
    def check(self) -> LeakCheck:
        return LeakCheck(self.features, self.labeler, self.data, self.seed)

    def run(self, *, quick: bool = False, cuts: int = 8) -> Findings:
        if quick:
            return self.check.quick(self.market, self.matrices)
        return self.check.run(self.market, self.matrices, cuts=cuts)


def verdicts(findings: Findings) -> dict[str, str]:
    """The verdict on each input by its name."""
    return {one.name: one.verdict.value for one in findings.inputs}
