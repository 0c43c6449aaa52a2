"""The leak check: what is asked for, and the verdict on each input of a strategy."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import Field

from ktrdr.contracts.strategies import GivenStrategy, StrategyOverrides
from ktrdr.contracts.values import Value


class LeakVerdict(StrEnum):
    """In rising order of harm: nothing found, a value that its history has not settled, a look at the future."""

    PASS = "pass"
    WARM_UP_ERROR = "warm_up_error"
    LEAK = "leak"

    @property
    def harm(self) -> int:
        return list(LeakVerdict).index(self)


class CheckLeaks(GivenStrategy):
    """A strategy, and at how many moments of each symbol it is to be checked."""

    overrides: StrategyOverrides = StrategyOverrides()
    cuts: int = Field(default=20, ge=1, le=1_000)


class InputVerdict(Value):
    """What was found of one input, or of the labels.

    `difference` is the largest one seen between two values that should be equal, as a share of the input's spread (its
    standard deviation; 1 for memberships); None where only one of the two was there, and for labels. `symbol` and
    `at`, the close of the bar, are where that was. `enough_history` would settle it, as far as that was tried.
    """

    name: str
    timeframe: str
    verdict: LeakVerdict
    difference: float | None = 0.0
    symbol: str | None = None
    at: datetime | None = None
    enough_history: int | None = None


class LeakReport(Value):
    """The verdict on each input in its order, on the labels, and on the whole: the most harmful of them.

    `cuts` counts the moments of all symbols at which the bars were cut.
    """

    strategy_name: str
    symbols: list[str]
    base_timeframe: str
    history_required: int
    bars: dict[str, int]
    cuts: int
    verdict: LeakVerdict
    inputs: list[InputVerdict]
    labels: InputVerdict
    notices: list[str]


class LeakChecker(Protocol):
    """Checks strategies on stored bars. Blocks; may be called from any thread."""

    def check(self, wanted: CheckLeaks) -> LeakReport:
        """Raises what reading the strategy and its bars raises, and NotEnoughData when no bar has all its inputs."""
