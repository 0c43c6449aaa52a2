"""Triple-barrier labels: which of profit target, stop and time is touched first (López de Prado 2018, chapter 3)."""

from typing import Annotated, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from ktrdr.execution.component import Flag, Int, Number, Positive, also
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.volatility import Atr
from ktrdr.execution.labels.base import BUY, HOLD, NULL, SELL, Labeler, Labels
from ktrdr.execution.labels.cusum import cusum_events
from ktrdr.execution.labels.trailing import ewm_std, log_returns

Span = Annotated[Int, Field(ge=2, le=100_000)]


class TripleBarrier(Labeler):
    """BUY when a long position opened at the close would reach its target first, SELL at its stop, HOLD at its time.

    The barriers lie `pt_multiplier` and `sl_multiplier` volatilities from the close; volatility is TA-Lib's ATR over
    the close (`atr`) or the exponentially weighted standard deviation of log returns (`close`). An open beyond a
    barrier decides; when a bar touches both, the stop counts. Known at the touch, or after `max_holding_period` bars.
    `cusum_threshold` or `cusum_multiplier` sample events (2.5.2.1); a threshold of 0 stands for the multiplier, which
    is 0.5 then unless it is given. `compute_weights` weighs rows by uniqueness (4.4).

    >>> flat = np.full(6, 100.0)
    >>> highs = np.array([100.0, 101, 102, 100, 100, 100])
    >>> triple_barrier(flat, highs, flat, flat, np.full(6, 0.01), 2.0, 1.5, 3)[0].tolist()  # 0 BUY, 1 HOLD, -1 null
    [0, 0, 1, -1, -1, -1]
    """

    source: Literal["triple_barrier"] = "triple_barrier"
    pt_multiplier: Positive = Field(default=2.0, validation_alias=also("pt_multiplier", "profit_target_atr"))
    sl_multiplier: Positive = Field(default=1.5, validation_alias=also("sl_multiplier", "stop_loss_atr"))
    max_holding_period: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=50, validation_alias=also("max_holding_period", "max_holding_bars")
    )
    vol_span: Span = Field(default=50, validation_alias=also("vol_span", "atr_period"))
    vol_method: Literal["atr", "close"] = "atr"
    compute_weights: Flag = True
    cusum_threshold: Annotated[Number, Field(ge=0)] | None = None
    cusum_multiplier: Positive | None = None

    def label(self, bars: Bars) -> Labels:
        label, known_at, ambiguous = triple_barrier(
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            self.volatility(bars),
            self.pt_multiplier,
            self.sl_multiplier,
            self.max_holding_period,
        )
        counts = {"ambiguous": int(ambiguous)}
        return Labels(
            label=label, known_at=known_at, event=self.events(bars), tail=self.max_holding_period, counts=counts
        )

    def volatility(self, bars: Bars) -> NDArray[np.float64]:
        """Relative volatility at each bar from that bar and earlier ones, NaN during the warm-up."""
        if self.vol_method == "close":
            return ewm_std(log_returns(bars.close), self.vol_span)
        return Atr(period=self.vol_span).compute(bars)["atr"] / bars.close

    def events(self, bars: Bars) -> NDArray[np.bool_]:
        if self.cusum_threshold is None and self.cusum_multiplier is None:
            return super().events(bars)
        returns = log_returns(bars.close)
        if self.cusum_threshold:
            height = np.full(len(bars), self.cusum_threshold)
        else:
            height = (self.cusum_multiplier or 0.5) * ewm_std(returns, self.vol_span)
        return cusum_events(returns, height)

    @property
    def weighs_uniqueness(self) -> bool:
        return self.compute_weights

    def expectation(self) -> dict[str, float]:
        """A walk without drift reaches the target first with probability sl / (pt + sl), time apart."""
        target = self.sl_multiplier / (self.pt_multiplier + self.sl_multiplier)
        return {"BUY": target, "SELL": 1.0 - target}


@njit(cache=True)
def triple_barrier(
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volatility: NDArray[np.float64],
    target: float,
    stop: float,
    holding: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Label and known_at of each bar, and how many bars touched both barriers at once."""
    count = len(close)
    label = np.full(count, NULL, dtype=np.int64)
    known_at = np.full(count, NULL, dtype=np.int64)
    ambiguous = 0
    for entry in range(count):
        width = volatility[entry]
        if not (np.isfinite(width) and np.isfinite(close[entry])):
            continue
        upper = close[entry] * (1.0 + target * width)
        lower = close[entry] * (1.0 - stop * width)
        for bar in range(entry + 1, min(entry + holding, count - 1) + 1):
            outcome = NULL
            if open_[bar] >= upper:
                outcome = BUY
            elif open_[bar] <= lower:
                outcome = SELL
            elif low[bar] <= lower:
                outcome = SELL
                if high[bar] >= upper:
                    ambiguous += 1
            elif high[bar] >= upper:
                outcome = BUY
            if outcome != NULL:
                label[entry] = outcome
                known_at[entry] = bar
                break
        if label[entry] == NULL and entry + holding < count:
            label[entry] = HOLD
            known_at[entry] = entry + holding
    return label, known_at, ambiguous
