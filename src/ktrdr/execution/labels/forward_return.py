"""Forward returns: how far the close has moved after some bars, as a number."""

from typing import ClassVar, Literal

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.ahead import Horizon, returns_ahead
from ktrdr.execution.labels.base import Labeler, Labels


class ForwardReturn(Labeler):
    """close[t + horizon] / close[t] − 1, a number to predict; known at t + horizon.

    >>> returns_ahead(np.array([100.0, 50.0, 75.0]), 1)[0].tolist()
    [-0.5, 0.5, nan]
    """

    source: Literal["forward_return"] = "forward_return"
    horizon: Horizon = 20
    classes: ClassVar[tuple[str, ...]] = ()

    def label(self, bars: Bars) -> Labels:
        returns, known_at = returns_ahead(bars.close, self.horizon)
        return Labels(label=returns, known_at=known_at, event=self.events(bars))
