"""Zigzag labels: the legs between confirmed turning points of a given relative size, on closes."""

from typing import Annotated, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from ktrdr.execution.component import Int, Number
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import BUY, HOLD, NULL, SELL, Labeler, Labels


class Zigzag(Labeler):
    """Bars between turning points: BUY on an up leg, SELL on a down leg, HOLD at the points themselves.

    A turning point is known at its confirmation, the first close `zigzag_threshold` beyond it the other way; a bar of a
    leg at the first later bar that sets a new extreme of the leg. `label_lookahead` is stored without effect.
    """

    source: Literal["zigzag"] = "zigzag"
    zigzag_threshold: Annotated[Number, Field(gt=0, lt=1)] = 0.02
    label_lookahead: Annotated[Int, Field(ge=0)] | None = None

    def label(self, bars: Bars) -> Labels:
        label, known_at = zigzag(bars.close, self.zigzag_threshold)
        pivots = int((label == HOLD).sum())
        return Labels(label=label, known_at=known_at, event=self.events(bars), counts={"turning_points": pivots})


@njit(cache=True)
def zigzag(close: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label and known_at of each close; one pass."""
    count = len(close)
    label = np.full(count, NULL, dtype=np.int64)
    known_at = np.full(count, NULL, dtype=np.int64)
    low = high = extreme = NULL
    leg = NULL  # BUY on an up leg, SELL on a down leg, NULL before the first turning point
    for now in range(count):
        price = close[now]
        if np.isnan(price):
            continue
        if leg == NULL:
            if low == NULL or price < close[low]:
                low = now
            if high == NULL or price > close[high]:
                high = now
            if price >= close[low] * (1.0 + threshold):
                leg = BUY
                extreme = low
            elif price <= close[high] * (1.0 - threshold):
                leg = SELL
                extreme = high
            else:
                continue
            label[extreme] = HOLD
            known_at[extreme] = now
            _settle(label, known_at, extreme + 1, now, leg)
            extreme = now
        elif (leg == BUY and price > close[extreme]) or (leg == SELL and price < close[extreme]):
            _settle(label, known_at, extreme, now, leg)
            extreme = now
        elif (leg == BUY and price <= close[extreme] * (1.0 - threshold)) or (
            leg == SELL and price >= close[extreme] * (1.0 + threshold)
        ):
            leg = SELL if leg == BUY else BUY
            label[extreme] = HOLD
            known_at[extreme] = now
            _settle(label, known_at, extreme + 1, now, leg)
            extreme = now
    return label, known_at


@njit(cache=True)
def _settle(label: NDArray[np.int64], known_at: NDArray[np.int64], first: int, now: int, leg: int) -> None:
    """The bars from `first` up to, not including, `now` belong to this leg, and that is known now."""
    for bar in range(first, now):
        label[bar] = leg
        known_at[bar] = now
