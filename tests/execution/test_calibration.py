"""Brier score and calibration error agree with scikit-learn and with what a simulation makes true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from ktrdr.execution.calibration import BINS, brier_score, expected_calibration_error


def random_case(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.full(3, 0.5), size=rows), generator.integers(0, 3, rows)


@given(st.integers(0, 10_000), st.integers(1, 80))
def test_the_brier_score_is_scikit_learns(seed: int, rows: int) -> None:
    probabilities, label = random_case(seed, rows)
    theirs = brier_score_loss(label, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert brier_score(probabilities, label) == pytest.approx(theirs)


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_the_calibration_error_is_that_of_scikit_learns_curve(seed: int, rows: int) -> None:
    probabilities, label = random_case(seed, rows)
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == label
    came, said = calibration_curve(hit, confidence, n_bins=BINS, pos_label=True)
    counts = np.histogram(confidence, bins=np.linspace(0, 1, BINS + 1))[0]
    expected = (np.abs(came - said) * counts[counts > 0]).sum() / rows
    assert expected_calibration_error(probabilities, label) == pytest.approx(expected)


def test_true_probabilities_are_calibrated_and_exaggerated_ones_are_not() -> None:
    generator = np.random.default_rng(1)
    true = generator.dirichlet(np.ones(3), size=40_000)
    label = (true.cumsum(axis=1) < generator.random((40_000, 1))).sum(axis=1)
    exaggerated = true**3 / (true**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(true, label) < 0.01
    assert expected_calibration_error(exaggerated, label) > 0.1
    assert brier_score(true, label) < brier_score(exaggerated, label)


def test_certain_and_right_costs_nothing_and_certain_and_wrong_all() -> None:
    certain = np.array([[1.0, 0.0, 0.0]])
    assert (brier_score(certain, np.array([0])), expected_calibration_error(certain, np.array([0]))) == (0.0, 0.0)
    assert (brier_score(certain, np.array([2])), expected_calibration_error(certain, np.array([2]))) == (2.0, 1.0)
    assert brier_score(np.full((1, 3), 1 / 3), np.array([1])) == pytest.approx(1 - 1 / 3)


def test_no_rows_have_no_score() -> None:
    empty = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    assert np.isnan(brier_score(*empty))
    assert np.isnan(expected_calibration_error(*empty))
