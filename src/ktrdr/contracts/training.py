"""A training: what is asked for, its twelve phases, what comes back, and who runs it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, Self

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


OperationType = Literal["training", "null_test"]


class StartTraining(Value):
    """What a caller asks for: a strategy's name, or its text.

    Of two in the queue the one with the higher `priority` runs first. The same `idempotency_key` twice is the same
    training, not a second one.

    `source` is what messages call a strategy given as text. No `execution_mode`: the system's default decides. A
    training that requires a GPU waits for one with `queue_if_unavailable`; else it is refused when there is none.
    `detailed_analytics` adds a table of every epoch's gradients and classes to the model. A null test,
    whose `overrides` say on how many walks, trains and judges and keeps no model.
    """

    type: OperationType = "training"
    strategy_name: str | None = None
    strategy_text: str | None = None
    source: str = "strategy"
    overrides: StrategyOverrides = StrategyOverrides()
    execution_mode: str | None = None
    require_gpu: bool = False
    queue_if_unavailable: bool = False
    detailed_analytics: bool = False
    priority: int = Field(default=0, ge=-100, le=100)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)

    @model_validator(mode="after")
    def _one_strategy(self) -> Self:
        if (self.strategy_name is None) == (self.strategy_text is None):
            raise InvalidRequest("give either a strategy's name or its text")
        return self

    @model_validator(mode="after")
    def _walks_of_a_null_test(self) -> Self:
        if self.type == "null_test" and self.overrides.null_test is None:
            raise InvalidRequest("a null test wants to know on how many walks: null_test: 19")
        return self


class TrainingRequest(Value):
    """One training, complete: whoever runs it needs nothing else but bars.

    `strategy` is the strategy as resolved: defaults filled in, overrides of symbols, timeframes, dates and seed
    applied. Dates are UTC and half open, [start, end). `requested_mode` is what the caller asked for, `execution_mode`
    and `host` are where it was placed. A null test trains and judges, and keeps no model. `from_start` wants no
    checkpoint of an earlier attempt. `trace_parent` is the span that asked for it (W3C).
    """

    operation_id: str
    type: OperationType = "training"
    strategy_name: str
    strategy: dict[str, Any]
    requested_mode: str | None = None
    execution_mode: str = "auto"
    host: str | None = None
    require_gpu: bool = False
    queue_if_unavailable: bool = False
    detailed_analytics: bool = False
    attempt: int = Field(default=1, ge=1)
    from_start: bool = False
    trace_parent: str | None = None


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
    """Set once from any thread, read from any thread. A run that is `suspended` stops too, to be taken up again."""

    def __init__(self) -> None:
        self.cancelled = False
        self.suspended = False
        self._listeners: list[Callable[[], object]] = []

    def cancel(self) -> None:
        self.cancelled = True
        for listener in self._listeners:
            listener()

    def suspend(self) -> None:
        if not self.cancelled:
            self.suspended = True
            self.cancel()

    def is_cancelled(self) -> bool:
        return self.cancelled

    def on_cancel(self, listener: Callable[[], object]) -> None:
        """Call `listener` at the cancel, in the thread it comes from; at once if it has come already."""
        self._listeners.append(listener)
        if self.cancelled:
            listener()


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


class CheckpointStore(Protocol):
    """Where unfinished trainings keep how far they came."""

    def discard(self, operation_id: str) -> None:
        """Forget the checkpoint of that operation, if it has one."""


class TrainingConfig(Value):
    """What holds for trainings that say nothing else; `origin` is settings or stored. `previous` was in force before
    a change."""

    default_execution_mode: str
    origin: str
    previous: str | None = None


class TrainingPlan(Value):
    """What a training would do, for `--dry-run`: nothing is computed but what the files say.

    `bars` counts those of each series in the range; `resampled` names, for a series that is not stored, the timeframe
    that it is made of.
    """

    strategy_name: str
    symbols: list[str]
    timeframes: list[str]
    base_timeframe: str
    start_date: datetime | None
    end_date: datetime | None
    bars: dict[str, int]
    resampled: dict[str, str] = Field(default_factory=dict)
    feature_names: list[str]
    labels: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    execution_mode: str
    execution_reason: str
    host: str | None = None
    notices: list[str]
