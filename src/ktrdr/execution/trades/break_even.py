"""The cost of a round trip at which the same fills would have ended where they began."""

import numpy as np
from numpy.typing import NDArray

HALVINGS = 60


def break_even_cost(gross: NDArray[np.float64], sides: NDArray[np.float64]) -> float | None:
    """The cost of a round trip at which the product of 1 + gross − sides · cost / 2 is 1; below zero when the trades
    lose before costs, None without a fill or when a bar without one loses everything.

    The product falls with the cost, so the root is found by halving.
    """
    paid = sides > 0
    still, gross, sides = gross[~paid], gross[paid], sides[paid]
    if not len(sides) or (still <= -1.0).any():
        return None
    constant = float(np.log1p(still).sum())

    def growth(half: float) -> float:
        factors = 1.0 + gross - sides * half
        return constant + float(np.log(factors).sum()) if (factors > 0.0).all() else -np.inf

    low, high = 0.0, float(((1.0 + gross) / sides).min())
    step = 1.0
    while growth(low) < 0.0:
        low, step = low - step, step * 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) >= 0.0 else (low, middle)
    return low + high
