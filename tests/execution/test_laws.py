"""Laws over every component there is: causal, exact about what it knows, defined on odd bars, documented, picklable."""

import doctest
import importlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import HOUR, Memory, bars_of, changed, cut, observations, random_bars

from ktrdr.execution.component import Component
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.features.builder import FeatureBuilder, Series
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.fuzzy.memberships import MEMBERSHIPS
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.indicators.library import INDICATORS
from ktrdr.execution.labels.base import NULL, Labeler, Labels
from ktrdr.execution.labels.context import Context
from ktrdr.execution.labels.forward_return import ForwardReturn
from ktrdr.execution.labels.library import LABELERS
from ktrdr.execution.labels.regime import Regime
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.zigzag import Zigzag
from ktrdr.execution.market import load_market
from ktrdr.execution.models.library import MODELS
from ktrdr.execution.strategy.grammar import Strategy

LABELER_CASES: list[Labeler] = [
    Zigzag(zigzag_threshold=0.01),
    Zigzag(zigzag_threshold=0.04),
    TripleBarrier(vol_span=10, max_holding_period=8),
    TripleBarrier(vol_span=10, max_holding_period=8, vol_method="close"),
    TripleBarrier(vol_span=5, max_holding_period=20, cusum_multiplier=1.5),
    TripleBarrier(vol_span=5, max_holding_period=3, cusum_threshold=0.01),
    Context(horizon=3),
    Context(horizon=9, bullish_threshold=0.01, bearish_threshold=0.0),
    ForwardReturn(horizon=1),
    ForwardReturn(horizon=7),
    Regime(macro_atr_mult=2.0, micro_atr_mult=0.5, atr_period=3, vol_lookback=6),
    Regime(macro_atr_mult=1.0, micro_atr_mult=0.4, atr_period=4, vol_lookback=15, vol_crisis_threshold=1.1),
]


KINDS = tuple({type(labeler): None for labeler in LABELER_CASES})


def test_every_labeler_is_among_the_cases() -> None:
    assert set(KINDS) >= set(LABELERS)


@pytest.mark.parametrize("kind", [*MEMBERSHIPS, *KINDS, *MODELS], ids=lambda kind: kind.__name__)
def test_every_component_is_documented_with_an_example_that_runs(kind: type[Component]) -> None:
    assert ">>>" in (kind.__doc__ or ""), f"{kind.__name__} has no example: add one to its docstring"
    module = importlib.import_module(kind.__module__)
    examples = doctest.DocTestFinder().find(kind, globs={**vars(module), "np": np, "torch": torch})
    runner = doctest.DocTestRunner()
    assert [runner.run(example) for example in examples if example.examples]
    assert runner.failures == 0


@pytest.mark.parametrize("kind", [*KINDS, *MODELS], ids=lambda kind: kind.__name__)
def test_every_component_is_picklable_and_frozen(kind: type[Component]) -> None:
    component = kind()
    assert pickle.loads(pickle.dumps(component)) == component
    with pytest.raises(ValueError, match="frozen"):
        component.type = "other"  # type: ignore[attr-defined]


def futures(bars: Bars, after: int, seed: int) -> list[Bars]:
    """The same bars up to `after` and other ones behind: none, garbage, and a valid random market."""
    other = random_bars(seed + 7, len(bars), step=0.02)
    columns = ("open", "high", "low", "close", "volume")
    rest = slice(after + 1, None)
    scale = bars.close[after] / other.close[after]
    return [
        cut(bars, after + 1),
        changed(bars, rest, **dict.fromkeys(columns, np.nan)),
        changed(bars, rest, **{name: getattr(other, name)[rest] * scale for name in columns}),
        changed(bars, rest, **{name: getattr(bars, name)[rest] * 100.0 for name in columns}),
    ]


def is_null(labels: Labels) -> np.ndarray:
    """Where there is no class, or no number."""
    return np.isnan(labels.label) if labels.label.dtype == np.float64 else labels.label == NULL


@pytest.mark.parametrize("labeler", LABELER_CASES, ids=str)
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), data=st.data())
def test_a_label_is_settled_at_known_at_and_not_before(labeler: Labeler, seed: int, data: st.DataObject) -> None:
    """Whatever comes after `known_at`, or nothing, leaves the label as it is; one bar earlier it is not there."""
    bars = random_bars(seed, 90)
    labels = labeler.label(bars)
    labelled = np.flatnonzero(labels.known_at != NULL)
    if not len(labelled):
        return
    bar = int(data.draw(st.sampled_from(labelled.tolist())))
    known = int(labels.known_at[bar])
    assert known > bar
    for other in futures(bars, known, seed):
        again = labeler.label(other)
        assert (again.label[bar], again.known_at[bar]) == (labels.label[bar], known)
        np.testing.assert_array_equal(again.event[: known + 1], labels.event[: known + 1])
    early = labeler.label(cut(bars, known))
    assert early.known_at[bar] == NULL
    assert is_null(early)[bar]


@pytest.mark.parametrize("labeler", LABELER_CASES, ids=str)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), at=st.integers(1, 90))
def test_a_cut_keeps_what_was_known_and_nulls_the_rest(labeler: Labeler, seed: int, at: int) -> None:
    bars = random_bars(seed, 90)
    whole, short = labeler.label(bars), labeler.label(cut(bars, at))
    was_known = (whole.known_at[:at] != NULL) & (whole.known_at[:at] < at)
    np.testing.assert_array_equal(short.label[was_known], whole.label[:at][was_known])
    np.testing.assert_array_equal(is_null(short), ~was_known)
    np.testing.assert_array_equal(short.known_at, np.where(was_known, whole.known_at[:at], NULL))
    np.testing.assert_array_equal(short.event, whole.event[:at])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestLabelers:
    @pytest.mark.parametrize("count", [0, 1, 2, 5])
    def test_a_short_series_has_no_labels(self, kind: type[Labeler], count: int) -> None:
        labels = kind().label(random_bars(3, count))
        assert len(labels.label) == len(labels.known_at) == len(labels.event) == count
        assert is_null(labels).all() or count == 5

    def test_odd_bars_have_a_defined_result(self, kind: type[Labeler]) -> None:
        """Flat prices, no volume, and a hole: a class of the labeler's own or null, known after its bar or never."""
        flat = np.full(300, 50.0)
        walk = random_bars(4, 300)
        hole = changed(walk, slice(150, 153), open=np.nan, high=np.nan, low=np.nan, close=np.nan)
        for bars in (bars_of(flat, flat, flat, flat), changed(walk, slice(None), volume=0.0), hole):
            labels = kind().label(bars)
            known = labels.known_at != NULL
            np.testing.assert_array_equal(known, ~is_null(labels))
            assert (labels.known_at[known] > np.flatnonzero(known)).all()
            if kind.regression():
                assert np.isfinite(labels.label[known]).all()
            else:
                assert (labels.label[known] < len(kind.classes)).all()

    def test_bad_parameters_are_refused(self, kind: type[Labeler]) -> None:
        numbers = [name for name, field in kind.model_fields.items() if type(field.default) in (int, float)]
        assert numbers
        for name in numbers:
            for wrong in (float("nan"), float("inf"), "2", True, None):
                with pytest.raises(ValueError, match=name):
                    kind.model_validate({name: wrong})
            if name not in ("bullish_threshold", "bearish_threshold"):  # a return may be negative
                with pytest.raises(ValueError, match=name):
                    kind.model_validate({name: -3})


def strategy_of_everything() -> Strategy:
    """Every indicator, each output raw and through each membership, on two timeframes."""
    indicators = {kind.__name__.lower(): kind() for kind in INDICATORS}
    references = references_of(indicators)
    shapes: dict[str, Any] = {
        str(kind.model_fields["type"].default): {
            "type": kind.model_fields["type"].default,
            "parameters": [10.0 * (number + 1) for number in range(len(kind.parameter_names))],
        }
        for kind in MEMBERSHIPS
    }
    return Strategy.model_validate(
        {
            "name": "everything",
            "training_data": {
                "symbols": {"mode": "single", "symbol": "TEST"},
                "timeframes": {"mode": "multi_timeframe", "list": ["1h", "4h"]},
            },
            "indicators": {name: one.model_dump(exclude_none=True) for name, one in indicators.items()},
            "fuzzy_sets": {ref.replace(".", "_"): {"indicator": ref, **shapes} for ref in references},
            "nn_inputs": [{"fuzzy_set": ref.replace(".", "_")} for ref in references]
            + [{"raw_indicator": ref} for ref in references],
        }
    )


def feature_values(hourly: Bars, four_hourly: Bars) -> np.ndarray:
    strategy = strategy_of_everything()
    features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
    series = Series(symbol="TEST", base_timeframe="1h", bars={"1h": hourly, "4h": four_hourly})
    return features.build(series).values


@settings(max_examples=12)
@given(seed=st.integers(0, 1000), at=st.integers(170, 239))
def test_no_feature_depends_on_a_bar_that_had_not_closed(seed: int, at: int) -> None:
    """Cutting or spoiling every bar of every timeframe that closes after a row's own close changes nothing there."""
    hourly, slow = random_bars(seed, 240), random_bars(seed + 1, 60, timeframe="4h")
    whole = feature_values(hourly, slow)
    closed = int(np.searchsorted(slow.closes, hourly.closes[at], side="right"))
    spoilt = dict.fromkeys(("open", "high", "low", "close", "volume"), np.nan)
    for one, other in (
        (cut(hourly, at + 1), cut(slow, closed)),
        (changed(hourly, slice(at + 1, None), **spoilt), changed(slow, slice(closed, None), **spoilt)),
        (changed(hourly, slice(at + 1, None), close=1.0, high=300.0), changed(slow, slice(closed, None), low=0.1)),
    ):
        np.testing.assert_array_equal(feature_values(one, other)[: at + 1], whole[: at + 1])


OTHER_SERIES = ("GBPUSD", "yield_spread_A_B", "cot_EUR_net_pct", "vix")


def strategy_of_other_series() -> Strategy:
    """Every indicator on a timeframe that is made of the base, on one that is shorter, and on every kind of other
    series."""
    plain = {kind.__name__.lower(): kind() for kind in INDICATORS}
    indicators: dict[str, Any] = {name: one.model_dump(exclude_none=True) for name, one in plain.items()}
    inputs = [{"raw_indicator": ref, "timeframes": ["15m", "4h", "1d"]} for ref in references_of(plain)]
    for source in OTHER_SERIES:
        copies = {f"{name}_{source}": one.with_changes(data_source=source) for name, one in plain.items()}
        indicators |= {name: one.model_dump(exclude_none=True) for name, one in copies.items()}
        inputs += [{"raw_indicator": ref} for ref in references_of(copies)]
    return Strategy.model_validate(
        {
            "name": "others",
            "training_data": {
                "symbols": {"mode": "single", "symbol": "TEST"},
                "timeframes": {"mode": "multi_timeframe", "list": ["15m", "1h", "4h", "1d"], "base_timeframe": "1h"},
            },
            "context_data": [
                {"symbol": "GBPUSD", "timeframe": "2h"},
                {"provider": "fred", "series": ["A", "B"]},
                {"report": "EUR"},
                {"series": ["vix"], "publication_lag": "36h"},
            ],
            "indicators": indicators,
            "nn_inputs": inputs,
        }
    )


def references_of(indicators: Mapping[str, Indicator]) -> list[str]:
    """Every output that may be an input."""
    return [
        f"{name}.{output}"
        for name, one in indicators.items()
        for output in one.outputs
        if output not in one.needs_future
    ]


def stored_series(seed: int) -> list[Bars]:
    """Quarters of hours of one symbol, of which all its timeframes are made; hours of another; and observations, that
    began long before."""
    year = 365 * 24 * HOUR
    start = int(random_bars(seed, 1).time[0]) - year
    return [
        random_bars(seed, 4 * 24 * 70, timeframe="15m"),
        random_bars(seed + 1, 24 * 70, symbol="GBPUSD"),
        observations("fred_A", seed + 2, 435, start=start),
        observations("fred_B", seed + 3, 15, every="1M", start=start, step=29 * 24 * HOUR),
        observations("cot_EUR_net_pos", seed + 4, 110, every="1w", start=start - year, step=7 * 24 * HOUR),
        observations("vix", seed + 5, 435, start=start),
    ]


def features_of(series: list[Bars], strategy: Strategy) -> np.ndarray:
    market = load_market(DataManager(Memory(*series)), strategy)
    features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
    return features.build(market.series[0]).values


def known_by(bars: Bars, moment: int) -> int:
    """How many of the stored ones could be known: bars that had closed, values with their publication lag."""
    lag = {"vix": 12 * HOUR}.get(bars.symbol, 0)  # stored with a day, and the strategy says 36 hours
    return int(np.searchsorted(bars.closes + lag, moment, side="right"))


@settings(max_examples=4)
@given(seed=st.integers(0, 1000), at=st.integers(24 * 50, 24 * 70 - 1))
def test_no_feature_depends_on_what_was_not_known(seed: int, at: int) -> None:
    """Of any stored series, timeframes that are made of it and series that are derived of it included: what comes to be
    known after a row's close may be cut off or anything at all."""
    strategy, series = strategy_of_other_series(), stored_series(seed)
    whole = features_of(series, strategy)
    moment = int(random_bars(seed, at + 1).closes[at])
    assert np.isfinite(whole[at]).mean() > 0.8  # the rest has no volume or too few releases
    spoilt = dict.fromkeys(("open", "high", "low", "close", "volume"), np.nan)
    for future in (
        lambda bars, rest: cut(bars, rest.start),
        lambda bars, rest: changed(bars, rest, **spoilt),
        lambda bars, rest: changed(bars, rest, open=1.0, high=300.0, low=0.1, close=7.0, volume=9e9),
    ):
        other = [future(bars, slice(known_by(bars, moment), None)) for bars in series]
        np.testing.assert_array_equal(features_of(other, strategy)[: at + 1], whole[: at + 1])
