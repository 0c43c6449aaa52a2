"""Several symbols, one model: each with its own indicators and labels, all split at the same dates, none by name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.test_executor import Shelf, request, run
from tests.support import HOUR, Memory, changed, observations, random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.timeframes import bar_closes
from ktrdr.execution.features.builder import FeatureBuilder
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.labels.base import NULL
from ktrdr.execution.market import Market, load_market
from ktrdr.execution.rows import Rows, rows_of
from ktrdr.execution.splits import Split, split_rows
from ktrdr.execution.strategy.grammar import Strategy

LABELS = {"source": "triple_barrier", "max_holding_period": 8, "vol_span": 10}


def strategy_of(*symbols: str, timeframes: tuple[str, ...] = ("1h", "4h"), **data: Any) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "many",
            "training_data": {
                "symbols": {"mode": "multi_symbol", "list": list(symbols)},
                "timeframes": {"mode": "multi_timeframe", "list": list(timeframes), "base_timeframe": "1h"},
                "history_required": 5,
                **data,
            },
            "context_data": [{"series": ["vix"]}],
            "indicators": {
                "rsi": {"type": "rsi", "period": 5},
                "ema": {"type": "ema", "period": 9},
                "fear": {"type": "roc", "period": 3, "data_source": "vix"},
            },
            "nn_inputs": [{"raw_indicator": name} for name in ("rsi", "ema", "fear")],
            "training": {"labels": LABELS},
        }
    )


VIX = observations("vix", 9, 60)


def later(bars: Bars, hours: int) -> Bars:
    """The same bars that many hours later."""
    columns = (getattr(bars, name) for name in ("open", "high", "low", "close", "volume"))
    return Bars(bars.symbol, bars.timeframe, bars.calendar, bars.time + hours * HOUR, *columns)


def market_of(strategy: Strategy, *bars: Bars) -> Market:
    return load_market(DataManager(Memory(*bars, VIX)), strategy)


def rows_and_split(strategy: Strategy, *bars: Bars) -> tuple[Rows, Split]:
    market = market_of(strategy, *bars)
    features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
    matrices = [features.build(series) for series in market.series]
    labels = [strategy.training.labels.label(one) for one in market.bases]
    rows, _ = rows_of(market.bases, matrices, labels, strategy.training_data, 1)
    return rows, split_rows(rows, market.bases, strategy.training_data, strategy.training.data_split)


@settings(max_examples=15)
@given(st.integers(0, 500), st.integers(0, 500), st.integers(300, 900))
def test_each_symbol_has_the_rows_that_it_has_alone(seed: int, shift: int, count: int) -> None:
    """Features, labels and stamps, bar by bar, whatever the other symbols are: indicators start anew at each of them,
    and no label meets another symbol's features. Histories may be of any length."""
    one, other = random_bars(seed, 900, symbol="ONE"), random_bars(seed + 1, count, symbol="OTHER")
    both = one, later(other, shift)
    together, _ = rows_and_split(strategy_of("ONE", "OTHER"), *both)
    for index, bars in enumerate(both):
        alone, _ = rows_and_split(strategy_of(bars.symbol), bars)
        mine = together.take(together.symbol == index)
        for name in ("features", "label", "bar", "known_at", "time", "decision"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(alone, name))


@settings(max_examples=25)
@given(st.integers(0, 600), st.integers(250, 1_000), st.integers(0, 500))
def test_no_symbol_trains_behind_the_date_at_which_another_is_tested(shift: int, count: int, seed: int) -> None:
    """The dates are the same for all; labels had settled before them, each on its own symbol's bars."""
    bars = random_bars(seed, 1_000, symbol="ONE"), later(random_bars(seed + 1, count, symbol="OTHER"), shift)
    rows, split = rows_and_split(strategy_of("ONE", "OTHER"), *bars)
    assert split.validation_from < split.test_from
    for part, ends in ((split.train, split.validation_from), (split.validation, split.test_from)):
        assert (part.decision < ends).all()
        for index, own in enumerate(bars):
            known = part.known_at[part.symbol == index]
            assert (own.closes[known] < ends).all()
    assert (split.validation.decision >= split.validation_from).all()
    assert (split.test.decision >= split.test_from).all()
    kept = sum(map(len, (split.train, split.validation, split.test)))
    assert len(rows) == kept + sum(split.purged.values())


def test_another_symbols_prices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the rows of one symbol, and of the dates of the split: only the scaler is shared."""
    one, other = random_bars(1, 900, symbol="ONE"), random_bars(2, 900, symbol="OTHER")
    strange = changed(other, slice(None), open=1.0, high=2.0, low=0.5, close=1.5)
    (clean, split), (again, moved) = (
        rows_and_split(strategy_of("ONE", "OTHER"), one, second) for second in (other, strange)
    )
    assert (split.validation_from, split.test_from) == (moved.validation_from, moved.test_from)
    mine, theirs = (rows.take(rows.symbol == 0) for rows in (clean, again))
    np.testing.assert_array_equal(mine.features, theirs.features)
    np.testing.assert_array_equal(mine.label, theirs.label)


def test_no_name_of_a_symbol_is_an_input() -> None:
    """A model is told nothing that would tell symbols apart: the inputs of two orders are the same."""
    names = [strategy_of(*symbols).feature_names for symbols in (("ONE", "OTHER"), ("OTHER", "ONE"), ("THIRD",))]
    assert names[0] == names[1] == names[2]
    assert not any(symbol in name for symbol in ("ONE", "OTHER", "THIRD") for name in names[0])


def test_what_is_undefined_is_no_row_and_no_zero() -> None:
    """A broken bar ends every run of indicators: the rows behind it are dropped until all inputs are defined again, and
    counted."""
    bars = random_bars(3, 900, symbol="ONE")
    broken = changed(bars, slice(400, 401), open=np.nan, high=np.nan, low=np.nan, close=np.nan)
    strategy = strategy_of("ONE", timeframes=("1h",))
    market = market_of(strategy, broken)
    features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
    matrix = features.build(market.series[0])
    labels = strategy.training.labels.label(broken)
    rows, dropped = rows_of(market.bases, [matrix], [labels], strategy.training_data, 1)
    assert np.isnan(matrix.values[400:405, 0]).all()
    assert np.isnan(matrix.values[400:408, 1]).all()
    assert np.isfinite(rows.features).all()
    assert not np.isin(np.arange(400, 409), rows.bar).any()
    reasons = dict.fromkeys(("warm_up", "undefined_input", "end_of_range", "no_label", "no_event"))
    assert set(dropped) == set(reasons)
    assert dropped["undefined_input"] >= 9
    assert len(rows) + sum(dropped.values()) == len(bars)
    assert (labels.label[rows.bar] != NULL).all()


def test_a_longer_timeframe_is_each_symbols_own() -> None:
    """Made of its own bars: one symbol's hours never fill another's four hours."""
    one, other = random_bars(1, 400, symbol="ONE"), random_bars(2, 300, symbol="OTHER")
    market = market_of(strategy_of("ONE", "OTHER"), one, other)
    for series, own in zip(market.series, (one, other), strict=True):
        slow = series.bars["4h"]
        assert slow.symbol == own.symbol
        np.testing.assert_array_equal(slow.close, own.close[3::4][: len(slow)])
        np.testing.assert_array_equal(slow.closes, bar_closes(slow.time, slow.timeframe, "24/7"))
    assert market.series[0].bars["vix"] is market.series[1].bars["vix"]


def test_unequal_histories_train_and_are_judged_apart() -> None:
    """A symbol that begins in the middle has its own figures, and its rows are those of its own time."""
    whole, short = random_bars(1, 2_600, symbol="ONE"), later(random_bars(2, 1_500, symbol="OTHER"), 1_100)
    data = {
        "symbols": {"mode": "multi_symbol", "list": ["ONE", "OTHER"]},
        "timeframes": {"mode": "single", "timeframe": "1h"},
    }
    result = run(Shelf(whole, short), request(training_data=data, labels=LABELS))
    assert set(result.per_symbol_metrics) == {"ONE", "OTHER"}
    assert sum(one["rows"] for one in result.per_symbol_metrics.values()) == result.test_metrics["rows"]
    assert set(result.data_summary["embargo_bars"]) == {"ONE", "OTHER"}
