"""Triple-barrier labels agree with a slow reading of their definition, and volatility with its sources."""

import os

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support import bars_of, random_bars

from ktrdr.execution.labels.base import BUY, HOLD, NULL, SELL
from ktrdr.execution.labels.cusum import cusum_events
from ktrdr.execution.labels.trailing import ewm_std, log_returns
from ktrdr.execution.labels.triple_barrier import TripleBarrier, triple_barrier


def slow_triple_barrier(bars, volatility, target, stop, holding):
    """The grammar's definition: an open decides, both touched is SELL, none is HOLD, each bar in order."""
    count = len(bars)
    label, known, ambiguous = np.full(count, NULL), np.full(count, NULL), 0
    for t in range(count):
        if not np.isfinite(volatility[t]):
            continue
        upper, lower = bars.close[t] * (1 + target * volatility[t]), bars.close[t] * (1 - stop * volatility[t])
        for bar in range(t + 1, t + holding + 1):
            if bar >= count:
                break
            above, below = bars.high[bar] >= upper, bars.low[bar] <= lower
            if bars.open[bar] >= upper:
                label[t], known[t] = BUY, bar
            elif bars.open[bar] <= lower:
                label[t], known[t] = SELL, bar
            elif above or below:
                label[t], known[t] = (SELL if below else BUY), bar
                ambiguous += above and below
            if known[t] != NULL:
                break
        else:
            label[t], known[t] = HOLD, t + holding
    return label, known, ambiguous


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 12), st.floats(0.2, 3), st.floats(0.2, 3))
def test_the_loop_is_the_definition(seed: int, count: int, holding: int, target: float, stop: float) -> None:
    bars = random_bars(seed, count, step=0.01)
    volatility = np.where(np.arange(count) < 3, np.nan, 0.01)
    ours = triple_barrier(bars.open, bars.high, bars.low, bars.close, volatility, target, stop, holding)
    theirs = slow_triple_barrier(bars, volatility, target, stop, holding)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    assert ours[2] == theirs[2]


def label_after(*rows: tuple[float, float, float, float], holding: int = 2) -> tuple[int, int, int]:
    """The label of an entry at 100 with barriers at 102 and 99, followed by these bars (open, high, low, close)."""
    columns = np.array([(100.0, 100.0, 100.0, 100.0), *rows]).T
    label, known, ambiguous = triple_barrier(*columns, np.full(len(rows) + 1, 0.01), 2.0, 1.0, holding)
    return int(label[0]), int(known[0]), ambiguous


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(100, 102, 100, 101)], (BUY, 1, 0)),
        ([(100, 101, 99, 100)], (SELL, 1, 0)),
        ([(100, 103, 98, 100)], (SELL, 1, 1)),
        ([(103, 104, 98, 100)], (BUY, 1, 0)),
        ([(98, 104, 98, 100)], (SELL, 1, 0)),
        ([(99, 104, 98, 100)], (SELL, 1, 0)),
        ([(102, 104, 98, 100)], (BUY, 1, 0)),
        ([(100, 101, 99.5, 101.9), (101, 101.9, 99.5, 101.9)], (HOLD, 2, 0)),
        ([(100, 101, 99.5, 100), (100, 102.5, 99.5, 102)], (BUY, 2, 0)),
        ([(100, 101, 99.5, 100)], (NULL, NULL, 0)),
    ],
)
def test_cases_by_hand(rows: list[tuple[float, float, float, float]], expected: tuple[int, int, int]) -> None:
    assert label_after(*rows) == expected


def test_volatility_by_range_is_talibs_atr_over_the_close() -> None:
    bars = random_bars(3, 200)
    expected = talib.ATR(bars.high, bars.low, bars.close, 20) / bars.close
    np.testing.assert_array_equal(TripleBarrier(vol_span=20).volatility(bars), expected)


def test_volatility_by_closes_is_pandas_ewm() -> None:
    bars = random_bars(4, 300)
    expected = pd.Series(np.log(bars.close)).diff().ewm(span=30, min_periods=30).std()
    np.testing.assert_allclose(TripleBarrier(vol_span=30, vol_method="close").volatility(bars), expected, rtol=1e-9)


def test_the_warm_up_is_never_labelled() -> None:
    bars = random_bars(5, 120)
    labels = TripleBarrier(vol_span=50, max_holding_period=5).label(bars)
    assert (labels.label[:50] == NULL).all()
    assert (labels.label[50:115] != NULL).all()
    assert labels.tail == 5


def slow_cusum(returns: np.ndarray, height: np.ndarray) -> list[bool]:
    above = below = 0.0
    events = []
    for r, h in zip(returns, height, strict=True):
        event = False
        if np.isfinite(r) and np.isfinite(h):
            above, below = max(0.0, above + r), min(0.0, below + r)
            if above > h:
                event, above = True, 0.0
            elif below < -h:
                event, below = True, 0.0
        events.append(event)
    return events


STEPS = st.floats(-0.02, 0.02) | st.just(float("nan"))
HEIGHTS = st.sampled_from([0.001, 0.01, 0.03, float("nan")])


@settings(max_examples=300)
@given(st.lists(st.tuples(STEPS, HEIGHTS), max_size=60))
def test_cusum_events_are_their_definition(bars: list[tuple[float, float]]) -> None:
    """Whatever height each bar has: only the sum that has passed it begins again."""
    returns, heights = (np.array([one[at] for one in bars]) for at in (0, 1))
    assert cusum_events(returns, heights).tolist() == slow_cusum(returns, heights)


def test_a_steady_rise_is_an_event_each_time_it_has_risen_enough() -> None:
    events = cusum_events(np.full(10, 0.01), np.full(10, 0.025))
    assert np.flatnonzero(events).tolist() == [2, 5, 8]


def test_the_sum_of_the_other_direction_goes_on() -> None:
    """A fall beyond the height ends the falling sum; what was left of the rise before it still counts."""
    events = cusum_events(np.array([0.0105, -0.01, 0.0008]), np.array([0.03, 0.001, 0.001]))
    assert events.tolist() == [False, True, True]


def test_events_are_sampled_only_when_asked_for() -> None:
    bars = random_bars(6, 400)
    assert TripleBarrier().events(bars).all()
    fixed = TripleBarrier(cusum_threshold=0.02).events(bars)
    moving = TripleBarrier(cusum_threshold=0.0, cusum_multiplier=2.0).events(bars)
    returns = log_returns(bars.close)
    np.testing.assert_array_equal(fixed, slow_cusum(returns, np.full(400, 0.02)))
    np.testing.assert_array_equal(moving, slow_cusum(returns, 2.0 * ewm_std(returns, 50)))
    adaptive = TripleBarrier(cusum_threshold=0.0).events(bars)
    np.testing.assert_array_equal(adaptive, slow_cusum(returns, 0.5 * ewm_std(returns, 50)))


def test_both_spellings_of_a_parameter_work_and_not_together() -> None:
    older = {"profit_target_atr": 3.0, "stop_loss_atr": 1.0, "max_holding_bars": 9, "atr_period": 11}
    labeler = TripleBarrier.model_validate(older)
    assert (labeler.pt_multiplier, labeler.sl_multiplier, labeler.max_holding_period, labeler.vol_span) == (3, 1, 9, 11)
    with pytest.raises(ValidationError, match="two spellings"):
        TripleBarrier.model_validate({"pt_multiplier": 2.0, "profit_target_atr": 2.0})


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="minutes without compilation")
def test_a_walk_without_drift_reaches_its_barriers_as_the_formula_says() -> None:
    steps = np.random.default_rng(1).choice([-0.001, 0.001], size=60_000)
    close = 100.0 * np.exp(np.cumsum(steps))
    flat = bars_of(close, close, close, close)
    labeler = TripleBarrier(pt_multiplier=2.0, sl_multiplier=1.5, max_holding_period=5000)
    volatility = np.full(len(close), 0.02)
    label, _, _ = triple_barrier(flat.open, flat.high, flat.low, flat.close, volatility, 2.0, 1.5, 5000)
    share = (label == BUY).sum() / ((label == BUY) | (label == SELL)).sum()
    assert share == pytest.approx(labeler.expectation()["BUY"], abs=0.12)
