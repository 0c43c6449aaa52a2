"""CUSUM events: bars at which returns have drifted far enough to be worth a decision (López de Prado 2018, 2.5.2.1)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def cusum_events(returns: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where the sum of returns in one direction has passed ±height since that sum was last reset.

    `returns` and `height` have one value a bar; a bar where either is NaN adds nothing and is no event.
    """
    count = len(returns)
    event = np.zeros(count, dtype=np.bool_)
    above = 0.0
    below = 0.0
    for bar in range(count):
        if not (np.isfinite(returns[bar]) and np.isfinite(height[bar])):
            continue
        above = max(0.0, above + returns[bar])
        below = min(0.0, below + returns[bar])
        if above > height[bar]:
            event[bar] = True
            above = 0.0
        elif below < -height[bar]:
            event[bar] = True
            below = 0.0
    return event
