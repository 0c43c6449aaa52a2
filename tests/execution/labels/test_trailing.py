"""Trailing statistics agree with pandas, and a value depends on nothing outside its own window."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.execution.labels.trailing import ewm_std, trailing_median, trailing_std

VALUES = st.lists(st.floats(-1, 1, width=16) | st.just(float("nan")), max_size=60).map(np.array)


@settings(max_examples=200)
@given(VALUES, st.integers(2, 20))
def test_median_and_deviation_are_pandas(values: np.ndarray, window: int) -> None:
    rolling = pd.Series(values, dtype=np.float64).rolling(window)
    np.testing.assert_allclose(trailing_median(values.astype(float), window), rolling.median(), rtol=1e-12, atol=1e-15)
    expected = np.array(
        [np.std(values[t + 1 - window : t + 1], ddof=1) if t + 1 >= window else np.nan for t in range(len(values))]
    )
    np.testing.assert_allclose(trailing_std(values.astype(float), window), expected, rtol=1e-9, atol=1e-12)


@given(VALUES, st.integers(2, 20))
def test_the_exponential_deviation_is_pandas(values: np.ndarray, span: int) -> None:
    """Where there is a value; pandas repeats the last deviation where there is none, and here there is none."""
    expected = pd.Series(values, dtype=np.float64).ewm(span=span, min_periods=span).std()
    expected = expected.where(~np.isnan(values.astype(float)))
    np.testing.assert_allclose(ewm_std(values.astype(float), span), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("window", [2, 7, 14, 120])
def test_nothing_of_a_storm_is_left_in_a_flat_window_behind_it(window: int) -> None:
    """Differences of running sums would leave a tiny number there, of which a multiple can be exceeded."""
    values = np.concatenate([np.random.default_rng(0).normal(0, 100, 300), np.full(300, 1e-3)])
    assert (trailing_std(values, window)[300 + window :] == 0).all()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_series_shorter_than_the_window_has_no_value(count: int) -> None:
    for statistic in (trailing_std, trailing_median):
        assert np.isnan(statistic(np.ones(count), 6)).all()
