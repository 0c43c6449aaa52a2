"""Context labels: whether the market has moved up, down or neither after some bars."""

from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from ktrdr.execution.component import Number, refusal
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.ahead import Horizon, returns_ahead
from ktrdr.execution.labels.base import NULL, Labeler, Labels

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


def direction(returns: NDArray[np.float64], bullish: float, bearish: float) -> NDArray[np.int64]:
    """The class of each return; at a threshold it is NEUTRAL."""
    return np.where(returns > bullish, BULLISH, np.where(returns < bearish, BEARISH, NEUTRAL))
