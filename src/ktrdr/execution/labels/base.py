"""What a labeler gives: a class or a number for each bar, the bar at which it was known, and which bars are events."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.component import Component
from ktrdr.execution.data.bars import Bars

BUY, HOLD, SELL = 0, 1, 2
SIGNALS = ("BUY", "HOLD", "SELL")
NULL = -1
"""No class, and no bar at which a label was known."""

Answers = NDArray[Any]
"""Classes, int64, or numbers to predict, float64."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """One answer a bar, arrays of the bars' length.

    `label` is a class or NULL, or, of a labeler without classes, a number or NaN. `known_at` is the index of the first
    bar at which the label can no longer change, NULL where there is no label. `event` says which bars may become rows
    (all, unless events are sampled). The last `tail` bars of a range are never rows: what is known of them early would
    be the fast outcomes alone.
    """

    label: Answers
    known_at: NDArray[np.int64]
    event: NDArray[np.bool_]
    tail: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class Labeler(Component):
    """Labels bars. Cutting the bars at u keeps every label with `known_at` ≤ u and nulls the rest.

    `classes` names what is predicted; without classes it is a number.
    """

    classes: ClassVar[tuple[str, ...]] = SIGNALS
    signals: ClassVar[bool] = True
    """Whether what is predicted says what to do: only then there are trades."""
    source: str

    @classmethod
    def regression(cls) -> bool:
        """Whether labels are numbers to predict."""
        return not cls.classes

    @abstractmethod
    def label(self, bars: Bars) -> Labels:
        """The labels of all bars given; none is read that is not there."""

    def events(self, bars: Bars) -> NDArray[np.bool_]:
        """Which bars are events, from the bars up to each alone; at prediction too."""
        return np.ones(len(bars), dtype=np.bool_)

    @property
    def weighs_uniqueness(self) -> bool:
        """Whether training weighs rows by the uniqueness of their labels."""
        return False

    def expectation(self) -> dict[str, float]:
        """Shares of the classes on a walk without direction, where there is a formula for them."""
        return {}
