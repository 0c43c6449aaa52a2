"""A training: what is asked for, its twelve phases, what comes back, and who runs it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import Field, model_validator

from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.contracts.values import Value
from ktrdr.errors import InvalidRequest


class Phase(StrEnum):
    """The twelve steps of a training, in their order."""

    DATA_LOADING = "data_loading"
    INDICATORS = "indicators"
    FUZZY_MEMBERSHIPS = "fuzzy_memberships"
    FEATURE_ENGINEERING = "feature_engineering"
    LABELS = "labels"
    DATASET = "dataset"
    MODEL_CREATION = "model_creation"
    TRAINING = "training"
    EVALUATION = "evaluation"
    FEATURE_IMPORTANCE = "feature_importance"
    PERSISTENCE = "persistence"
    RESULT_AGGREGATION = "result_aggregation"

    @property
    def number(self) -> int:
        """1 to 12."""
        return list(Phase).index(self) + 1

    @property
    def heading(self) -> str:
        """What a person reads, in a log line or beside a progress bar."""
        return _HEADINGS[self]


_HEADINGS = {
    Phase.DATA_LOADING: "Loading market data",
    Phase.INDICATORS: "Computing indicators",
    Phase.FUZZY_MEMBERSHIPS: "Computing fuzzy memberships",
    Phase.FEATURE_ENGINEERING: "Building features",
    Phase.LABELS: "Labelling",
    Phase.DATASET: "Splitting the dataset",
    Phase.MODEL_CREATION: "Creating the model",
    Phase.TRAINING: "Training the model",
    Phase.EVALUATION: "Evaluating",
    Phase.FEATURE_IMPORTANCE: "Ranking features",
    Phase.PERSISTENCE: "Saving the model",
    Phase.RESULT_AGGREGATION: "Summing up",
}


class StartTraining(Value):
    """What a caller asks for: exactly one of a strategy's name, its text, or a file.

    `source` is what messages call a strategy given as text. No `execution_mode`: the system's default decides.
    """

    strategy_name: str | None = None
    strategy_text: str | None = None
    source: str = "strategy"
    path: Path | None = None
    overrides: StrategyOverrides = StrategyOverrides()
    execution_mode: str | None = None
    require_gpu: bool = False

    @model_validator(mode="after")
    def _one_strategy(self) -> Self:
        given = [value for value in (self.strategy_name, self.strategy_text, self.path) if value is not None]
        if len(given) != 1:
            raise InvalidRequest("give exactly one of a strategy's name, its text or its file")
        return self


class TrainingRequest(Value):
    """One training, complete: whoever runs it needs nothing else but bars.

    `strategy` is the strategy as resolved: defaults filled in, overrides of symbols, timeframes, dates and seed
    applied. Dates are UTC and half open, [start, end).
    """

    operation_id: str
    strategy_name: str
    strategy: dict[str, Any]
    execution_mode: str = "auto"
    require_gpu: bool = False
    attempt: int = Field(default=1, ge=1)


class TrainingResult(Value):
    """What a training leaves behind; the same keys in every execution mode."""

    model_path: str | None
    training_metrics: dict[str, Any]
    test_metrics: dict[str, Any]
    feature_names: list[str]
    feature_importance: dict[str, Any]
    per_symbol_metrics: dict[str, Any]
    model_info: dict[str, Any]
    data_summary: dict[str, Any]
    resource_usage: dict[str, Any]
    provenance: dict[str, Any]


class ProgressCallback(Protocol):
    """Takes news of a training. Never blocks it and never raises into it."""

    def __call__(self, phase: Phase, message: str, **details: Any) -> None: ...


IsCancelled = Callable[[], bool]
"""Asked before every step and every batch; cheap."""


class CancellationToken:
    """Set once from any thread, read from any thread."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def is_cancelled(self) -> bool:
        return self.cancelled


class Executor(Protocol):
    """The training itself, synchronous: its model is saved when it returns; else it raises."""

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult: ...


class TrainingRunner(Protocol):
    """Runs one training to its end somewhere. When it returns, the model is saved; else it raises."""

    async def run(
        self, request: TrainingRequest, progress: ProgressCallback, cancellation: CancellationToken
    ) -> TrainingResult: ...


class TrainingPlan(Value):
    """What a training would do, for `--dry-run`: nothing is computed but what the files say."""

    strategy_name: str
    symbols: list[str]
    timeframes: list[str]
    base_timeframe: str
    start_date: datetime | None
    end_date: datetime | None
    bars: dict[str, int]
    feature_names: list[str]
    labels: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    execution_mode: str
    execution_reason: str
    notices: list[str]
