"""The memberships with corners for the values of an indicator: one pass from float64 to float32.

They are the definitions of `fuzzy.base` once more, step by step the same, so that both give equal numbers.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, error_model="numpy")
def linear(values: NDArray[np.float64], a: float, b: float, c: float, d: float) -> NDArray[np.float32]:
    """0 up to a, straight to 1 at b, 1 to c, straight to 0 at d; NaN stays NaN."""
    result = np.empty(len(values), dtype=np.float32)
    up = b - a if b > a else 1.0
    down = d - c if d > c else 1.0
    for row in range(len(values)):
        result[row] = _straight(values[row], a, b, c, d, up, down)
    return result


@njit(cache=True, error_model="numpy")
def rounded(values: NDArray[np.float64], a: float, b: float, c: float, d: float) -> NDArray[np.float32]:
    """The same with sides of two parabolas."""
    result = np.empty(len(values), dtype=np.float32)
    up = b - a if b > a else 1.0
    down = d - c if d > c else 1.0
    for row in range(len(values)):
        part = _straight(values[row], a, b, c, d, up, down)
        rest = 1.0 - part
        result[row] = 2.0 * part * part if part < 0.5 else 1.0 - 2.0 * (rest * rest)
    return result


@njit(cache=True, error_model="numpy", inline="always")
def _straight(value: float, a: float, b: float, c: float, d: float, up: float, down: float) -> float:
    part = (value - a if value < b else d - value) / (up if value < b else down)
    part = 0.0 if part < 0.0 else part
    part = 1.0 if part > 1.0 else part
    return 1.0 if (value >= b) & (value <= c) else part
