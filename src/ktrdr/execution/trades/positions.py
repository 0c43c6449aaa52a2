"""The state machine from signals to fills, and what the position earned in each bar; one pass, compiled.

A signal is said at the close of its bar and filled in the next one: at its open, or at its close where the open is only
the price before a session break carried over.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ktrdr.execution.labels.base import BUY, SELL

NONE = -1


@njit(cache=True)
def walk(
    open_: NDArray[np.float64],
    close: NDArray[np.float64],
    carried: NDArray[np.bool_],
    signal: NDArray[np.int64],
    separation: int,
    shorts: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """For each bar: what one unit of notional earned before costs from its open to the next bar's, half round trips
    paid in it (0, 1, or 2), and the position behind its fill (1 long, 0 flat, -1 short).

    It begins flat, and what is held at the end is closed at the last bar's close. `separation` is how many bars lie at
    least between the bars of two fills. A bar whose price is no positive number fills nothing and earns nothing; bars
    from the store have none.
    """
    count = len(open_)
    gross = np.zeros(count)
    sides = np.zeros(count, dtype=np.int64)
    held = np.zeros(count, dtype=np.int64)
    position = 0
    last_fill = NONE
    for bar in range(count):
        before = position
        at_close = carried[bar]
        if bar > 0 and (last_fill == NONE or bar - last_fill >= separation):
            wanted = _wanted(position, signal[bar - 1], shorts)
            price = close[bar] if at_close else open_[bar]
            late = at_close and bar == count - 1  # what is opened there is closed there: an exit is the closing itself
            if wanted != position and not late and 0.0 < price < np.inf:
                position = wanted
                last_fill = bar
                sides[bar] = 1
        end = open_[bar + 1] if bar + 1 < count else close[bar]
        if at_close and before != position:
            gross[bar] = before * _change(open_[bar], close[bar]) + position * _change(close[bar], end)
        else:
            gross[bar] = position * _change(open_[bar], end)
        held[bar] = position
    if position != 0:
        sides[count - 1] += 1
    return gross, sides, held


@njit(cache=True)
def _wanted(position: int, signal: int, shorts: bool) -> int:
    """The position after a signal: one step towards it, never from long to short or back at once."""
    if signal == BUY and position < 1:
        return position + 1
    if signal == SELL and position == 1:
        return 0
    if signal == SELL and position == 0 and shorts:
        return -1
    return position


@njit(cache=True)
def _change(start: float, end: float) -> float:
    if 0.0 < start < np.inf and 0.0 < end < np.inf:
        return end / start - 1.0
    return 0.0
