"""Whether values that were computed twice are the same."""

import numpy as np
from numpy.typing import NDArray

NOISE = 1e-6
"""A difference of this share is arithmetic's."""


def compared(
    known: NDArray[np.float32], again: NDArray[np.float32], spread: NDArray[np.float64], allowed: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """For each column the largest difference, as a share of its spread (NaN: between a number and none), and whether it
    is more than is allowed."""
    same = (known == again) | (np.isnan(known) & np.isnan(again))
    difference, found = np.zeros(len(spread)), np.zeros(len(spread), dtype=np.bool_)
    for index in np.flatnonzero(~same.all(axis=0)):
        odd = ~same[:, index]
        left, right = (values[odd, index].astype(np.float64) for values in (known, again))
        gaps = np.abs(left - right)
        difference[index] = gaps.max() / spread[index]  # NaN when one of them is
        found[index] = not (gaps <= allowed * spread[index] + NOISE * np.abs(left)).all()
    return difference, found
