"""Regime labels agree with a slow reading of their definition, and know nothing before it has happened."""

import itertools
import math
import statistics

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.labels.slow import slow_turning_points
from tests.support import bars_of, changed, cut, random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import BUY, NULL, SELL
from ktrdr.execution.labels.regime import RANGING, TRENDING_DOWN, TRENDING_UP, VOLATILE, Regime, legs

SMALL = Regime(macro_atr_mult=2.0, micro_atr_mult=0.5, atr_period=3, vol_lookback=6)


def slow_size(bars: Bars, regime: Regime) -> np.ndarray:
    """The trailing median of ATR / close, window by window."""
    relative = talib.ATR(bars.high, bars.low, bars.close, regime.atr_period) / bars.close
    windows = [relative[max(0, t + 1 - regime.vol_lookback) : t + 1] for t in range(len(bars))]
    whole = [len(one) == regime.vol_lookback and np.isfinite(one).all() for one in windows]
    return np.array([statistics.median(one) if full else np.nan for one, full in zip(windows, whole, strict=True)])


def slow_regime(bars: Bars, regime: Regime) -> tuple[list[int], list[int]]:
    """The grammar's definition, leg by leg, bar by bar."""
    label, known, close = [NULL] * len(bars), [NULL] * len(bars), bars.close
    size = slow_size(bars, regime)
    macro, _ = slow_turning_points(close, regime.macro_atr_mult * size)
    micro, _ = slow_turning_points(close, regime.micro_atr_mult * size)
    returns = [math.nan] + [math.log(close[t] / close[t - 1]) for t in range(1, len(bars))]
    for (start, kind, _), (end, _, confirmed) in itertools.pairwise(macro):
        inside = [point for point in micro if start <= point[0] <= end and point[2] <= confirmed]
        prices = [close[bar] for bar, leg, _ in inside if leg == kind]
        better = [after > before if kind == BUY else after < before for before, after in itertools.pairwise(prices)]
        trend = len(inside) >= 4 and sum(better) / len(better) >= regime.progression_tolerance
        for t in range(start, end):
            ahead, past = returns[t + 1 : t + 1 + regime.atr_period], returns[t + 1 - regime.vol_lookback : t + 1]
            if len(ahead) < regime.atr_period:
                continue
            storm = statistics.stdev(ahead) > regime.vol_crisis_threshold * statistics.stdev(past)
            calm = (TRENDING_UP if kind == BUY else TRENDING_DOWN) if trend else RANGING
            label[t], known[t] = (VOLATILE if storm else calm), max(confirmed, t + regime.atr_period)
    return label, known


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(0, 160),
    st.builds(
        Regime,
        macro_atr_mult=st.sampled_from([1.5, 3.0]),
        micro_atr_mult=st.sampled_from([0.3, 1.0]),
        atr_period=st.integers(2, 6),
        vol_lookback=st.integers(2, 12),
        vol_crisis_threshold=st.sampled_from([0.7, 1.2, 2.0]),
        progression_tolerance=st.sampled_from([0.0, 0.5, 0.7, 1.0]),
    ),
)
def test_labels_are_their_definition(seed: int, count: int, regime: Regime) -> None:
    bars = random_bars(seed, count)
    labels = regime.label(bars)
    assert (labels.label.tolist(), labels.known_at.tolist()) == slow_regime(bars, regime)


def test_every_class_occurs_on_a_walk() -> None:
    labels = SMALL.label(random_bars(3, 3000))
    assert set(labels.label.tolist()) == {NULL, TRENDING_UP, TRENDING_DOWN, RANGING, VOLATILE}
    assert labels.counts["macro_legs"] > 50


def test_a_staircase_trends_and_a_sawtooth_ranges() -> None:
    """Two up, one down, a hundred times, are higher lows. Swings without a pause have no micro points between them."""
    stairs = np.cumsum([0.0, *([0.02, 0.02, -0.02] * 33), *([-0.02] * 30)])
    label = SMALL.label(of_closes(100 * np.exp(stairs))).label
    assert (label[30:90] == TRENDING_UP).all()
    down = SMALL.label(of_closes(100 * np.exp(-stairs))).label
    assert (down[30:90] == TRENDING_DOWN).all()
    calm = SMALL.with_changes(vol_lookback=25, vol_crisis_threshold=100.0)
    swings = calm.label(of_closes(100 * np.exp(0.2 * np.abs((np.arange(200) / 10) % 2 - 1)))).label
    assert (swings[40:150] == RANGING).all()


def of_closes(close: np.ndarray) -> Bars:
    return bars_of(close, close * 1.004, close * 0.996, close)


def test_a_storm_ahead_overrides_the_leg() -> None:
    steps = np.where(np.arange(400) % 2, 0.001, -0.0008)
    steps[200:210] *= 30
    bars = of_closes(100 * np.exp(np.cumsum(steps)))
    labels = Regime(macro_atr_mult=1.5, micro_atr_mult=0.5, atr_period=5, vol_lookback=30).label(bars)
    storm = np.flatnonzero(labels.label == VOLATILE)
    assert len(storm)
    assert storm.min() >= 195  # five bars before it
    assert storm.max() < 210


@pytest.mark.parametrize("kind", ["flat", "gap", "short"])
def test_odd_bars_have_a_defined_result(kind: str) -> None:
    """Flat prices have no swings; a gap takes labels only from bars whose returns or swings it breaks."""
    bars = random_bars(1, 400)
    if kind == "flat":
        assert (SMALL.label(of_closes(np.full(200, 5.0))).label == NULL).all()
    elif kind == "short":
        assert all(len(SMALL.label(cut(bars, count)).label) == count for count in range(12))
    else:
        broken = changed(bars, slice(200, 202), open=np.nan, high=np.nan, low=np.nan, close=np.nan)
        label = SMALL.label(broken).label
        assert (label[197:207] == NULL).all()
        assert (label[230:350] != NULL).all()


@pytest.mark.parametrize(("known", "expected"), [(9, TRENDING_UP), (10, TRENDING_UP), (11, RANGING)])
def test_a_micro_point_counts_when_it_was_known_by_the_time_the_legs_end_was(known: int, expected: int) -> None:
    """A leg from bar 0 to bar 8, known at bar 10, with four micro points of which the last is known at `known`."""
    macro = (np.array([0, 8]), np.array([BUY, SELL]), np.array([2, 10]))
    micro = (np.array([0, 3, 5, 8]), np.array([BUY, SELL, BUY, SELL]), np.array([1, 4, 6, known]))
    label, confirmed = legs(np.arange(100.0, 112.0), macro, micro, 0.5)
    assert label.tolist() == [expected] * 8 + [NULL] * 4
    assert confirmed.tolist() == [10] * 8 + [NULL] * 4


def test_returns_that_deviate_as_much_as_before_are_no_storm() -> None:
    volatile, decided = SMALL.with_changes(vol_crisis_threshold=1.0).storms(of_closes(np.full(40, 5.0)))
    assert not volatile.any()
    assert np.flatnonzero(decided != NULL).tolist() == list(range(6, 37))


def test_micro_swings_that_are_not_smaller_are_refused() -> None:
    with pytest.raises(ValueError, match="lower micro_atr_mult"):
        Regime(macro_atr_mult=2.0, micro_atr_mult=2.0)
