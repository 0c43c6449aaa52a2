"""Uniqueness agrees with its definition, bar by bar (López de Prado 2018, chapter 4)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.execution.labels.uniqueness import uniqueness

SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 15)), min_size=1, max_size=40, unique_by=lambda span: span[0]
)


@given(SPANS)
def test_prefix_sums_are_the_definition(spans: list[tuple[int, int]]) -> None:
    spans.sort()
    bars = np.array([start for start, _ in spans])
    known = np.array([start + length for start, length in spans])
    expected = []
    for start, end in zip(bars, known, strict=True):
        shares = [
            1.0 / sum(1 for t, k in zip(bars, known, strict=True) if t < b <= k) for b in range(start + 1, end + 1)
        ]
        expected.append(np.mean(shares))
    np.testing.assert_allclose(uniqueness(bars, known), expected, rtol=1e-12)


def test_labels_apart_are_unique_and_labels_together_share() -> None:
    assert uniqueness(np.array([0, 10]), np.array([5, 15])).tolist() == [1.0, 1.0]
    assert uniqueness(np.array([0, 0]), np.array([4, 4])).tolist() == [0.5, 0.5]


def test_no_labels_have_no_weights() -> None:
    assert len(uniqueness(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))) == 0
