"""Coverage as users see it: the memberships of a strategy over the values that its training rows have."""

from datetime import datetime
from typing import Protocol

from pydantic import Field

from ktrdr.contracts.strategies import GivenStrategy
from ktrdr.contracts.values import Value


class MembershipCurve(Value):
    """One membership: its shape, its values on the grid of its set, and what it does on the training rows.

    `fires` is the share of rows in which it is above 0.
    """

    name: str
    type: str
    parameters: list[float]
    values: list[float]
    fires: float
    mean: float
    highest: float


class SetCoverage(Value):
    """One fuzzy set on one timeframe: its memberships on a common grid, and a histogram of the training rows there.

    `edges` has one entry more than `counts`; a value at an inner edge counts to the right. `covered` and `overlapping`
    are shares of the rows that one membership, and two or more of them, read.
    """

    name: str
    timeframe: str
    indicator: str
    grid: list[float]
    memberships: list[MembershipCurve]
    edges: list[float]
    counts: list[int]
    covered: float
    overlapping: float


class CoverageReport(Value):
    """Every fuzzy set of a strategy in the order of its inputs, on the training rows that its stored bars give."""

    strategy_name: str
    symbols: list[str]
    base_timeframe: str
    rows: int
    start: datetime
    end: datetime
    sets: list[SetCoverage] = Field(default_factory=list)
    notices: list[str] = Field(default_factory=list)


class CoverageReader(Protocol):
    """Reads strategies' coverage off stored bars. Blocks; may be called from any thread."""

    def read(self, given: GivenStrategy) -> CoverageReport:
        """Raises what reading the strategy and its bars raises, and NotEnoughData when there is no training row."""
