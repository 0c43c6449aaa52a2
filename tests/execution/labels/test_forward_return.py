"""Forward returns are float64 numbers, known at their horizon; NaN where a close is missing."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from tests.support import changed, random_bars

from ktrdr.execution.labels.base import NULL
from ktrdr.execution.labels.forward_return import ForwardReturn


@given(st.integers(0, 1000), st.integers(0, 60), st.integers(1, 70))
def test_labels_are_pandas_percentage_changes_shifted(seed: int, count: int, horizon: int) -> None:
    bars = changed(random_bars(seed, count), slice(7, 8), close=np.nan)
    labels = ForwardReturn(horizon=horizon).label(bars)
    close = pd.Series(bars.close)
    expected = (close.shift(-horizon) / close - 1).to_numpy()
    np.testing.assert_array_equal(labels.label, expected)
    there = np.isfinite(expected)
    np.testing.assert_array_equal(labels.known_at, np.where(there, np.arange(count) + horizon, NULL))
    assert labels.label.dtype == np.float64


def test_a_close_of_zero_has_no_return_ahead_of_it() -> None:
    bars = changed(random_bars(1, 10), slice(3, 4), close=0.0)
    labels = ForwardReturn(horizon=2).label(bars)
    assert np.isnan(labels.label[3])
    assert labels.known_at[3] == NULL
    assert labels.label[1] == -1.0


def test_it_is_a_regression_with_trades() -> None:
    assert ForwardReturn().regression()
    assert ForwardReturn().signals
    assert ForwardReturn().horizon == 20
