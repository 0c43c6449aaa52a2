"""Turning points: the lows and highs from which a close has moved far enough away, on closes alone, in one pass."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ktrdr.execution.labels.base import BUY, NULL, SELL


@njit(cache=True)
def turning_points(
    close: NDArray[np.float64], size: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """The bar of each confirmed turning point, the leg that begins there (BUY at a low, SELL at a high), the bar of its
    confirmation, and the extreme that is running when the closes end (NULL without a turning point).

    A point is confirmed by the first close that lies its `size` beyond it the other way; `size` is relative, and taken
    at the point's own bar. It begins with the running low and high from the first bar on. A bar whose close or size is
    NaN is passed over.
    """
    count = len(close)
    at = np.empty(count, dtype=np.int64)
    legs = np.empty(count, dtype=np.int64)
    confirmed = np.empty(count, dtype=np.int64)
    found = 0
    low = high = extreme = NULL
    leg = NULL
    for now in range(count):
        price = close[now]
        if np.isnan(price) or np.isnan(size[now]):
            continue
        turned = NULL  # the leg that begins at a point confirmed now
        if leg == NULL:
            if low == NULL or price < close[low]:
                low = now
            if high == NULL or price > close[high]:
                high = now
            if _beyond(price, close[low], size[low], BUY):
                turned, extreme = BUY, low
            elif _beyond(price, close[high], size[high], SELL):
                turned, extreme = SELL, high
        elif (leg == BUY and price > close[extreme]) or (leg == SELL and price < close[extreme]):
            extreme = now
        else:
            other = SELL if leg == BUY else BUY
            if _beyond(price, close[extreme], size[extreme], other):
                turned = other
        if turned != NULL:
            at[found], legs[found], confirmed[found] = extreme, turned, now
            found += 1
            leg = turned
            extreme = now
    return at[:found].copy(), legs[:found].copy(), confirmed[:found].copy(), extreme


@njit(cache=True)
def _beyond(price: float, point: float, size: float, leg: int) -> bool:
    """Whether a price lies `size` away from a point in the direction of the leg, and not at the point itself."""
    if leg == BUY:
        return price > point and price >= point * (1.0 + size)
    return price < point and price <= point * (1.0 - size)
