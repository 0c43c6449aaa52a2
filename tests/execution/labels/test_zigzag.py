"""Zigzag labels agree with a slow reading of their definition, and are known exactly when they can no longer change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.labels.slow import slow_turning_points

from ktrdr.execution.labels.base import BUY, HOLD, NULL, SELL
from ktrdr.execution.labels.zigzag import zigzag

WALKS = st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=80).map(
    lambda steps: 100.0 * np.exp(np.cumsum(np.array(steps)))
)


def slow_zigzag(close: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The grammar's definition, bar by bar, leg by leg."""
    label, known = np.full(len(close), NULL), np.full(len(close), NULL)
    points, running = slow_turning_points(close, np.full(len(close), threshold))
    ends = [point[0] for point in points[1:]] + ([running] if running is not None else [])
    for (index, kind, confirmed), end in zip(points, ends, strict=True):
        label[index], known[index] = HOLD, confirmed
        extremes = [confirmed]
        for bar in range(confirmed + 1, end + 1):
            if (close[bar] > close[extremes[-1]]) if kind == BUY else (close[bar] < close[extremes[-1]]):
                extremes.append(bar)
        for bar in range(index + 1, end):
            label[bar] = BUY if kind == BUY else SELL
            known[bar] = next(extreme for extreme in extremes if extreme > bar)
    return label, known


@settings(max_examples=300)
@given(WALKS, st.sampled_from([0.01, 0.03, 0.1]))
def test_one_pass_is_the_definition(close: np.ndarray, threshold: float) -> None:
    label, known = zigzag(close, threshold)
    slow_label, slow_known = slow_zigzag(close, threshold)
    np.testing.assert_array_equal(label, slow_label)
    np.testing.assert_array_equal(known, slow_known)


@settings(max_examples=100)
@given(WALKS, st.sampled_from([0.01, 0.03]))
def test_known_at_is_exact(close: np.ndarray, threshold: float) -> None:
    """Cut behind the bar at which a label is known it is there, one bar earlier it is not."""
    label, known = zigzag(close, threshold)
    for cut in range(1, len(close) + 1):
        early, _ = zigzag(close[:cut], threshold)
        expected = np.where((known[:cut] != NULL) & (known[:cut] < cut), label[:cut], NULL)
        np.testing.assert_array_equal(early, expected)


def test_a_small_case_by_hand() -> None:
    #          0    1    2    3    4    5    6    7
    close = np.array([100, 99, 102, 105, 104, 101, 100, 104.0])
    label, known = zigzag(close, 0.03)
    assert label.tolist() == [NULL, HOLD, BUY, HOLD, SELL, SELL, HOLD, NULL]
    assert known.tolist() == [NULL, 2, 3, 5, 5, 6, 7, NULL]


@pytest.mark.parametrize("close", [[], [1.0], [5.0] * 50, [np.nan] * 5])
def test_where_nothing_turns_nothing_is_labelled(close: list[float]) -> None:
    label, known = zigzag(np.array(close, dtype=np.float64), 0.02)
    assert (label == NULL).all()
    assert (known == NULL).all()
