"""Whether probabilities mean what they say: the Brier score and the expected calibration error."""

import numpy as np
from numpy.typing import NDArray

BINS = 15


def brier_score(probabilities: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """The mean over rows of the summed squares between probabilities (rows, classes) and what came: 0 to 2, lower is
    better (Brier 1950). 1 − 1/classes is that of equal probabilities."""
    if not len(label):
        return float("nan")
    true = probabilities[np.arange(len(label)), label]
    return float((np.square(probabilities).sum(axis=1) - 2.0 * true + 1.0).mean())


def expected_calibration_error(probabilities: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """The mean difference between the probability of the likeliest class and how often it came, weighted by rows over
    15 bins of equal width, each with its upper end (Guo et al. 2017)."""
    if not len(label):
        return float("nan")
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == label
    bins = np.searchsorted(np.linspace(0.0, 1.0, BINS + 1)[1:-1], confidence)
    gaps = np.bincount(bins, weights=confidence - hit, minlength=BINS)
    return float(np.abs(gaps).sum() / len(label))
