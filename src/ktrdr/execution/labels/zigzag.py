"""Zigzag labels: the legs between confirmed turning points of a given relative size, on closes."""

from typing import Annotated, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from ktrdr.execution.component import Int, Number
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import BUY, HOLD, NULL, SELL, Labeler, Labels
from ktrdr.execution.labels.turning_points import turning_points


class Zigzag(Labeler):
    """Bars between turning points: BUY on an up leg, SELL on a down leg, HOLD at the points themselves.

    A turning point is known at its confirmation, the first close `zigzag_threshold` beyond it the other way; a bar of a
    leg at the first later bar that sets a new extreme of the leg. `label_lookahead` is stored without effect.

    >>> closes = np.array([100, 99, 102, 105, 104, 101, 100, 104.0])
    >>> zigzag(closes, 0.03)[0].tolist()  # 0 BUY, 1 HOLD, 2 SELL, -1 not known yet
    [-1, 1, 0, 1, 2, 2, 1, -1]
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
    """Label and known_at of each close, in linear time."""
    label = np.full(len(close), NULL, dtype=np.int64)
    known_at = np.full(len(close), NULL, dtype=np.int64)
    at, legs, confirmed, running = turning_points(close, np.full(len(close), threshold))
    for index in range(len(at)):
        end = at[index + 1] if index + 1 < len(at) else running
        label[at[index]] = HOLD
        known_at[at[index]] = confirmed[index]
        _settle(label, known_at, at[index] + 1, confirmed[index], legs[index])
        extreme = confirmed[index]
        for now in range(extreme + 1, end + 1):
            rises = close[now] > close[extreme]
            falls = close[now] < close[extreme]
            if (rises and legs[index] == BUY) or (falls and legs[index] == SELL):
                _settle(label, known_at, extreme, now, legs[index])
                extreme = now
    return label, known_at


@njit(cache=True)
def _settle(label: NDArray[np.int64], known_at: NDArray[np.int64], first: int, now: int, leg: int) -> None:
    """The bars from `first` up to, not including, `now` belong to this leg, and that is known now."""
    for bar in range(first, now):
        label[bar] = leg
        known_at[bar] = now
