"""Context labels are their definition: strict thresholds, known at the horizon, none without both closes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import bars_of, changed, random_bars

from ktrdr.execution.labels.base import NULL
from ktrdr.execution.labels.context import Context


def slow_context(close: np.ndarray, horizon: int, bullish: float, bearish: float) -> tuple[list[int], list[int]]:
    """One bar after the other."""
    labels, known = [], []
    for t in range(len(close)):
        later = close[t + horizon] if t + horizon < len(close) else np.nan
        change = later / close[t] - 1
        there = np.isfinite(change)
        labels.append((0 if change > bullish else 1 if change < bearish else 2) if there else NULL)
        known.append(t + horizon if there else NULL)
    return labels, known


@given(st.integers(0, 1000), st.integers(0, 60), st.integers(1, 12), st.floats(0, 0.01), st.floats(-0.01, 0))
def test_labels_are_their_definition(seed: int, count: int, horizon: int, bullish: float, bearish: float) -> None:
    bars = random_bars(seed, count)
    if count > 20:
        bars = changed(bars, slice(10, 12), close=np.nan)
    labels = Context(horizon=horizon, bullish_threshold=bullish, bearish_threshold=bearish).label(bars)
    expected = slow_context(bars.close, horizon, bullish, bearish)
    assert (labels.label.tolist(), labels.known_at.tolist()) == expected


def test_a_return_at_a_threshold_is_neutral() -> None:
    close = np.array([100.0, 150.0, 75.0, 75.0])
    labels = Context(horizon=1, bullish_threshold=0.5, bearish_threshold=-0.5).label(bars_of(*[close] * 4))
    assert labels.label.tolist() == [2, 2, 2, NULL]
    labels = Context(horizon=1, bullish_threshold=0.49, bearish_threshold=-0.49).label(bars_of(*[close] * 4))
    assert labels.label.tolist() == [0, 1, 2, NULL]


def test_thresholds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="lower the bearish threshold"):
        Context(bullish_threshold=-0.01, bearish_threshold=0.01)
