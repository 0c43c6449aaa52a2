"""Context labels: whether the market has moved up, down or neither after some bars."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ktrdr.execution.component import Int, Number, refusal
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import NULL, Labeler, Labels

Horizon = Annotated[Int, Field(ge=1, le=100_000)]
BULLISH, BEARISH, NEUTRAL = 0, 1, 2


class Context(Labeler):
    """BULLISH when the return up to the close `horizon` bars later is above `bullish_threshold`, BEARISH when it lies
    below `bearish_threshold`, else NEUTRAL; known at that later bar.

    >>> direction(np.array([0.006, 0.005, -0.005, -0.006]), 0.005, -0.005).tolist()
    [0, 2, 2, 1]
    """

    source: Literal["context"] = "context"
    horizon: Horizon = 5
    bullish_threshold: Number = 0.005
    bearish_threshold: Number = -0.005
    classes: ClassVar[tuple[str, ...]] = ("BULLISH", "BEARISH", "NEUTRAL")
    signals: ClassVar[bool] = False

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.bearish_threshold > self.bullish_threshold:
            raise refusal(
                f"bearish_threshold {self.bearish_threshold:g} above bullish_threshold {self.bullish_threshold:g}",
                "a return cannot be both: lower the bearish threshold",
            )
        return self

    def label(self, bars: Bars) -> Labels:
        returns, known_at = returns_ahead(bars.close, self.horizon)
        label = direction(returns, self.bullish_threshold, self.bearish_threshold)
        label = np.where(known_at == NULL, NULL, label)
        return Labels(label=label, known_at=known_at, event=self.events(bars))


def returns_ahead(close: NDArray[np.float64], horizon: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """close[t + horizon] / close[t] − 1 and t + horizon for each bar; NaN and NULL where it is not there."""
    count = len(close)
    returns = np.full(count, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        returns[: max(count - horizon, 0)] = close[horizon:] / close[:-horizon] - 1.0
    there = np.isfinite(returns)
    returns[~there] = np.nan
    return returns, np.where(there, np.arange(count) + horizon, NULL)


def direction(returns: NDArray[np.float64], bullish: float, bearish: float) -> NDArray[np.int64]:
    """The class of each return; at a threshold it is NEUTRAL."""
    return np.where(returns > bullish, BULLISH, np.where(returns < bearish, BEARISH, NEUTRAL))
