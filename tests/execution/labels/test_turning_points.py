"""Turning points agree with a search by brute force, whatever size each bar has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.labels.slow import slow_turning_points

from ktrdr.execution.labels.base import BUY, NULL, SELL
from ktrdr.execution.labels.turning_points import turning_points

STEP = st.floats(-0.05, 0.05) | st.just(0.0) | st.just(float("nan"))
SIZE = st.sampled_from([0.0, 0.01, 0.03, 0.08, float("nan")])


def walk(steps: list[float]) -> np.ndarray:
    """Closes after these steps; a NaN step is a close that is not there."""
    array = np.array(steps)
    close = 100.0 * np.exp(np.cumsum(np.nan_to_num(array)))
    return np.where(np.isnan(array), np.nan, close)


@settings(max_examples=300)
@given(st.lists(st.tuples(STEP, SIZE), min_size=1, max_size=60))
def test_one_pass_is_the_definition(bars: list[tuple[float, float]]) -> None:
    close, size = walk([step for step, _ in bars]), np.array([size for _, size in bars])
    at, legs, confirmed, running = turning_points(close, size)
    expected, extreme = slow_turning_points(close, size)
    assert list(zip(at.tolist(), legs.tolist(), confirmed.tolist(), strict=True)) == expected
    assert running == (NULL if extreme is None else extreme)


@settings(max_examples=100)
@given(st.lists(st.tuples(STEP, SIZE), min_size=1, max_size=60))
def test_lows_and_highs_alternate_and_later_closes_change_none_of_them(bars: list[tuple[float, float]]) -> None:
    close, size = walk([step for step, _ in bars]), np.array([size for _, size in bars])
    at, legs, confirmed, _ = turning_points(close, size)
    assert (np.diff(at) > 0).all()
    assert (np.diff(confirmed) > 0).all()
    assert (at < confirmed).all()
    assert (legs[1:] != legs[:-1]).all()
    for count in range(1, len(close)):
        early = turning_points(close[:count], size[:count])
        known = confirmed < count
        np.testing.assert_array_equal(early[0], at[known])
        np.testing.assert_array_equal(early[2], confirmed[known])


def test_the_size_is_taken_at_the_extreme_and_not_where_the_close_is() -> None:
    close = np.array([100.0, 110, 105, 100, 95])
    at_extreme = np.array([0.05, 0.10, 0.01, 0.01, 0.01])
    assert [part.tolist() for part in turning_points(close, at_extreme)[:3]] == [[0, 1], [BUY, SELL], [1, 4]]
    elsewhere = np.array([0.05, 0.04, 0.2, 0.2, 0.2])
    assert turning_points(close, elsewhere)[2].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("close", "confirmed"),
    [
        ([100, 125], [1]),
        ([100, 124.9], []),
        ([100, 75], [1]),
        ([100, 75.1], []),
        ([100, 160, 120], [1, 2]),
        ([100, 160, 120.1], [1]),
        ([100, 60, 75], [1, 2]),
        ([100, 60, 74.9], [1]),
    ],
)
def test_a_close_at_the_size_confirms(close: list[float], confirmed: list[int]) -> None:
    assert turning_points(np.array(close, dtype=np.float64), np.full(len(close), 0.25))[2].tolist() == confirmed


@pytest.mark.parametrize("size", [0.0, 0.02])
def test_a_flat_price_never_turns(size: float) -> None:
    assert len(turning_points(np.full(50, 7.0), np.full(50, size))[0]) == 0
