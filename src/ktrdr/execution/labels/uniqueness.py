"""How unique each label is among those that overlap it in time (López de Prado 2018, chapter 4)."""

import numpy as np
from numpy.typing import NDArray


def uniqueness(bars: NDArray[np.int64], known_at: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over (t, known_at] of one over the number of labels that span each bar; 0 to 1, one a label.

    `bars` and `known_at` are bar indices of the labels of one symbol; only the labels given are counted. The sum is
    the effective sample size.
    """
    if not len(bars):
        return np.empty(0)
    length = int(known_at.max()) + 2
    starts = np.bincount(bars + 1, minlength=length)
    ends = np.bincount(known_at + 1, minlength=length)
    concurrent = np.cumsum(starts[:length] - ends[:length])
    inverse = np.zeros(length)
    np.divide(1.0, concurrent, out=inverse, where=concurrent > 0)
    summed = np.concatenate(([0.0], np.cumsum(inverse)))
    shares: NDArray[np.float64] = (summed[known_at + 1] - summed[bars + 1]) / (known_at - bars)
    return shares
