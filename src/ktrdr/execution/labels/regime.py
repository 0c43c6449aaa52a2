"""Regime labels: whether the swing that a bar is part of trends, ranges, or is about to become a storm."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ktrdr.execution.component import Fraction, Int, Positive, refusal
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.volatility import Atr
from ktrdr.execution.labels.base import BUY, NULL, Labeler, Labels
from ktrdr.execution.labels.trailing import log_returns, trailing_median, trailing_std
from ktrdr.execution.labels.turning_points import turning_points

TRENDING_UP, TRENDING_DOWN, RANGING, VOLATILE = 0, 1, 2, 3
FEWEST_SWINGS = 4
"""Micro turning points that a macro leg must have to be called a trend."""


class Regime(Labeler):
    """The regime of the macro leg that a bar lies on, from its low or high up to the next one.

    Macro and micro legs are those of zigzags whose size is a multiple of the median of ATR / close over the last
    `vol_lookback` bars, taken at each extreme's own bar. A leg with at least four micro turning points, known by the
    time its end is confirmed, trends when the share of its higher lows (up) or lower highs (down) reaches
    `progression_tolerance`; else it ranges. A bar is VOLATILE, whatever its leg, when the returns of the next
    `atr_period` bars deviate more than `vol_crisis_threshold` times as much as those of the last `vol_lookback`. Known
    when the leg's end is confirmed, and not before those next bars have passed.

    >>> Regime(macro_atr_mult=4.0).classes
    ('TRENDING_UP', 'TRENDING_DOWN', 'RANGING', 'VOLATILE')
    """

    source: Literal["regime"] = "regime"
    macro_atr_mult: Positive = 3.0
    micro_atr_mult: Positive = 1.0
    atr_period: Annotated[Int, Field(ge=2, le=100_000)] = 14
    vol_lookback: Annotated[Int, Field(ge=2, le=100_000)] = 120
    vol_crisis_threshold: Positive = 2.0
    progression_tolerance: Fraction = 0.5
    classes: ClassVar[tuple[str, ...]] = ("TRENDING_UP", "TRENDING_DOWN", "RANGING", "VOLATILE")
    signals: ClassVar[bool] = False

    @model_validator(mode="after")
    def _micro_is_smaller(self) -> Self:
        if self.micro_atr_mult >= self.macro_atr_mult:
            raise refusal(
                f"micro_atr_mult {self.micro_atr_mult:g} is not below macro_atr_mult {self.macro_atr_mult:g}",
                "micro swings are the smaller ones: lower micro_atr_mult",
            )
        return self

    def label(self, bars: Bars) -> Labels:
        size = self.swing_size(bars)
        macro = turning_points(bars.close, self.macro_atr_mult * size)[:3]
        micro = turning_points(bars.close, self.micro_atr_mult * size)[:3]
        label, confirmed = legs(bars.close, macro, micro, self.progression_tolerance)
        volatile, decided = self.storms(bars)
        there = (label != NULL) & (decided != NULL)
        label = np.where(there, np.where(volatile, VOLATILE, label), NULL)
        known_at = np.where(there, np.maximum(confirmed, decided), NULL)
        return Labels(label=label, known_at=known_at, event=self.events(bars), counts={"macro_legs": len(macro[0])})

    def swing_size(self, bars: Bars) -> NDArray[np.float64]:
        """The relative size that the multiples are of: the trailing median of ATR / close, NaN during the warm-up."""
        volatility = Atr(period=self.atr_period).compute(bars)["atr"] / bars.close
        return trailing_median(volatility, self.vol_lookback)

    def storms(self, bars: Bars) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether the next bars' returns deviate so much more than the last bars', and the bar at which that is known;
        NULL where one of the returns is not there."""
        returns, ahead = log_returns(bars.close), np.full(len(bars), np.nan)
        ahead[: -self.atr_period] = trailing_std(returns, self.atr_period)[self.atr_period :]
        calm = trailing_std(returns, self.vol_lookback)
        there = np.isfinite(ahead) & np.isfinite(calm)
        return ahead > self.vol_crisis_threshold * calm, np.where(there, np.arange(len(bars)) + self.atr_period, NULL)


Points = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Bars of turning points, the legs that begin there, the bars of their confirmations."""


@njit(cache=True)
def legs(
    close: NDArray[np.float64], macro: Points, micro: Points, tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class of the macro leg that each bar lies on and the bar at which the leg's end was confirmed, NULL where the
    leg has no end; linear, since the micro points of a leg begin where those of the leg before end."""
    label = np.full(len(close), NULL, dtype=np.int64)
    confirmed = np.full(len(close), NULL, dtype=np.int64)
    points, kinds, known = micro
    first = 0
    for index in range(len(macro[0]) - 1):
        start, end, end_known = macro[0][index], macro[0][index + 1], macro[2][index + 1]
        while first < len(points) and points[first] < start:
            first += 1
        last = first
        while last < len(points) and points[last] <= end and known[last] <= end_known:
            last += 1
        kind = macro[1][index]
        label[start:end] = RANGING
        if last - first >= FEWEST_SWINGS:
            swings = points[first:last][kinds[first:last] == kind]
            if progression(close[swings], kind) >= tolerance:
                label[start:end] = TRENDING_UP if kind == BUY else TRENDING_DOWN
        confirmed[start:end] = end_known
    return label, confirmed


@njit(cache=True)
def progression(prices: NDArray[np.float64], kind: int) -> float:
    """The share of lows that are higher, or of highs that are lower, than the one before; of at least two."""
    steps = prices[1:] - prices[:-1]
    return float((steps > 0).mean() if kind == BUY else (steps < 0).mean())
