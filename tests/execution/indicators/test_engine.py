"""An indicator is computed once for each timeframe, however many inputs read it."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.execution.indicators.market import traded_bars
from tests.support import random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.builder import FeatureBuilder, Series
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.averages import Macd
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.indicators.momentum import Rsi
from ktrdr.execution.indicators.trend import Adx
from ktrdr.execution.strategy.grammar import Strategy


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """How often each indicator was computed on bars of each length."""
    counts: Counter[tuple[str, int]] = Counter()
    compute = Indicator.compute

    def counted(self: Indicator, bars: Bars, outputs: Any = None) -> dict[str, np.ndarray]:
        counts[self.type, len(bars)] += 1  # type: ignore[attr-defined]
        return compute(self, bars, outputs)

    monkeypatch.setattr(Indicator, "compute", counted)
    return counts


def strategy() -> Strategy:
    """Twelve memberships of three outputs of two indicators, on two timeframes, and three raw inputs."""
    shapes = {"low": [0, 20, 40], "middle": [30, 50, 70], "high": [60, 80, 100]}
    references = {"bare": "macd", "signal": "macd.signal", "rsi": "rsi", "again": "rsi"}
    return Strategy.model_validate(
        {
            "name": "busy",
            "training_data": {
                "symbols": {"mode": "single", "symbol": "TEST"},
                "timeframes": {"mode": "multi_timeframe", "list": ["1h", "4h"]},
            },
            "indicators": {"macd": {"type": "macd"}, "rsi": {"type": "rsi"}, "unused": {"type": "adx"}},
            "fuzzy_sets": {name: {"indicator": reference, **shapes} for name, reference in references.items()},
            "nn_inputs": [{"fuzzy_set": name} for name in references]
            + [{"raw_indicator": reference} for reference in ("macd.histogram", "macd.line", "rsi.rsi")],
        }
    )


def test_an_indicator_is_computed_once_for_each_timeframe(computed: Counter[tuple[str, int]]) -> None:
    """Thirty features read two indicators on two timeframes: four computations."""
    busy = strategy()
    features = FeatureBuilder(tuple(busy.columns()), IndicatorEngine(busy.indicators), FuzzyEngine())
    bars = {"1h": random_bars(1, 240), "4h": random_bars(2, 60, timeframe="4h")}
    matrix = features.build(Series(symbol="TEST", base_timeframe="1h", bars=bars))
    assert matrix.values.shape == (240, 30)
    assert computed == {(name, count): 1 for name in ("macd", "rsi") for count in (240, 60)}


def test_only_the_outputs_that_are_read_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of ADX's three is a call of its own."""
    seen: list[set[str]] = []
    values = Adx.values
    monkeypatch.setattr(
        Adx, "values", lambda self, wanted, *columns: seen.append({*wanted}) or values(self, wanted, *columns)
    )
    engine = IndicatorEngine({"adx": Adx()})
    read = engine.compute(traded_bars(1, 90), ["adx", "adx.plus_di", "adx.real"])
    assert seen == [{"adx", "plus_di"}]
    assert list(read) == ["adx", "adx.plus_di", "adx.real"]
    assert read["adx"] is read["adx.real"]


@pytest.mark.parametrize(
    ("reference", "output"),
    [("macd", "line"), ("macd.line", "line"), ("macd.macdsignal", "signal"), ("macd.histogram", "histogram")],
)
def test_a_reference_is_an_output(reference: str, output: str) -> None:
    bars = traded_bars(1, 80)
    engine = IndicatorEngine({"macd": Macd(), "rsi": Rsi()})
    np.testing.assert_array_equal(engine.compute(bars, [reference])[reference], Macd().compute(bars)[output])


def test_an_output_that_is_not_there_is_no_reference() -> None:
    with pytest.raises(KeyError):
        IndicatorEngine({"rsi": Rsi()}).compute(traded_bars(1, 80), ["rsi.signal"])
