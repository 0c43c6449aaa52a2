"""Jumps of price that look like share splits which nobody adjusted for: a model would learn them as crashes."""

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars

SPLITS = np.array([2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100, 3 / 2, 4 / 3, 5 / 4, 5 / 2, 7 / 2])
"""Ratios that companies choose; their inverses are reverse splits."""

TOLERANCE = 0.04
"""How far the jump may be from the ratio, in logs: the market moves overnight too. (AAPL fell by half in the night of
2000-09-28, within 0.06 of a split of 2; its true splits were within 0.03.)"""

TYPICAL_MOVES = 8.0
"""A jump counts when it is this many times the usual size of the moves around it."""

WINDOW = 250


def split_like_jumps(bars: Bars) -> NDArray[np.int64]:
    """Indices of bars that open at about a split's ratio to the last close, far outside the moves around them."""
    if len(bars) < 3:
        return np.empty(0, dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = np.log(bars.open[1:] / bars.close[:-1])
    candidates = np.flatnonzero(np.abs(jump) > np.log(SPLITS.min()) * (1 - TOLERANCE))
    ratios = np.log(np.concatenate([SPLITS, 1 / SPLITS]))
    found = [at + 1 for at in candidates if _is_split(jump, int(at), ratios) and _stays(bars, int(at) + 1)]
    return np.array(found, dtype=np.int64)


def _is_split(jump: NDArray[np.float64], at: int, ratios: NDArray[np.float64]) -> bool:
    around = np.concatenate([jump[max(0, at - WINDOW) : at], jump[at + 1 : at + 1 + WINDOW]])
    usual = np.nanstd(around[np.abs(around) < abs(jump[at]) / 2]) if len(around) else 0.0
    near = np.abs(ratios - jump[at]).min() < TOLERANCE
    return bool(near and abs(jump[at]) > TYPICAL_MOVES * usual)


def _stays(bars: Bars, at: int) -> bool:
    """A split stays: within the next bars the price does not come back half of the way."""
    before, after = bars.close[at - 1], np.nanmedian(bars.close[at : at + 10])
    return bool(abs(np.log(after / before)) > abs(np.log(bars.open[at] / before)) / 2)
