"""Strategies as the upper floors see them: names, summaries and resolved values, never live components."""

from datetime import datetime
from typing import Any, Protocol, Self

from pydantic import Field, model_validator

from ktrdr.contracts.bars import SeriesWanted
from ktrdr.contracts.values import Value
from ktrdr.errors import InvalidRequest


class StrategyOverrides(Value):
    """What a caller may change of a strategy for one training. `null_test` counts walks."""

    symbols: list[str] | None = None
    timeframes: list[str] | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    seed: int | None = None
    null_test: int | None = Field(default=None, ge=1, le=10_000)


class GivenStrategy(Value):
    """A strategy by its name or its text; `source` is what messages call one that is given as text."""

    strategy_name: str | None = None
    strategy_text: str | None = None
    source: str = "strategy"

    @model_validator(mode="after")
    def _one_strategy(self) -> Self:
        if (self.strategy_name is None) == (self.strategy_text is None):
            raise InvalidRequest("give either a strategy's name or its text")
        return self


class StrategySummary(Value):
    """A line of the list: a file that cannot be read has `error` and nothing else but its name and path. One that is
    `trained` has a model."""

    name: str
    path: str
    description: str | None = None
    symbols: list[str] = Field(default_factory=list)
    timeframes: list[str] = Field(default_factory=list)
    labels: str | None = None
    model: str | None = None
    trained: bool = False
    error: str | None = None


class StrategyInput(Value):
    """One input of a model: what it reads on which timeframe, or of which other series, its `source`; and how: through
    a membership of a fuzzy set, which has a `type` and `parameters`, or raw with its `normalization`."""

    name: str
    timeframe: str
    indicator: str
    source: str | None = None
    fuzzy_set: str | None = None
    type: str | None = None
    parameters: list[float] = Field(default_factory=list)
    normalization: str = "none"


class StrategyDetails(Value):
    """A strategy resolved: defaults filled in, features in their order, and what a reader should know.

    `resolved` is the whole strategy as JSON; `text` is the file as written; `series` are all that a training reads.
    """

    name: str
    source: str
    text: str
    resolved: dict[str, Any]
    symbols: list[str]
    timeframes: list[str]
    base_timeframe: str
    start_date: datetime | None
    end_date: datetime | None
    feature_names: list[str]
    inputs: list[StrategyInput] = Field(default_factory=list)
    series: list[SeriesWanted] = Field(default_factory=list)
    notices: list[str]


class StrategyRepository(Protocol):
    """The strategy files of a folder. Raises StrategyNotFound and InvalidStrategy."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of strategy files, for editors."""

    def summaries(self) -> list[StrategySummary]: ...

    def read(self, name: str, overrides: StrategyOverrides | None = None) -> StrategyDetails:
        """The strategy of that `name` (or file stem) in the folder."""

    def read_text(self, text: str, source: str, overrides: StrategyOverrides | None = None) -> StrategyDetails:
        """A strategy handed in as text; `source` is what error messages call it."""
