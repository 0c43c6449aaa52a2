"""An operation: durable work with a state, progress, a result or an error."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from ktrdr.contracts.training import Phase, TrainingRequest, TrainingResult
from ktrdr.contracts.values import Value

LOCAL_INSTEAD = "local takes its place"
"""How the reason ends for which a training runs here although a host was wanted."""


class OperationStatus(StrEnum):
    """The life of an operation: queued, running, (cancelling,) then one of the three ends."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED)


class Progress(Value):
    """The latest news of a running operation. `details` of the training phase: epoch, epochs, train_loss, val_loss,
    val_accuracy, learning_rate; `fraction` is of the whole operation, 0 to 1; `eta_seconds` is an estimate."""

    phase: Phase
    message: str
    fraction: float = Field(ge=0, le=1)
    eta_seconds: float | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class OperationSummary(Value):
    """What a list says of an operation. `revision` grows by one with each change; `queue_position` is 1 for the next
    to run and None once it has left the queue; `host` is the host service that trains it, in mode host."""

    operation_id: str
    type: str = "training"
    strategy_name: str
    status: OperationStatus
    attempt: int
    revision: int
    priority: int = 0
    queue_position: int | None = None
    execution_mode: str
    host: str | None = None
    progress: Progress | None = None
    error: dict[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Operation(OperationSummary):
    """An operation as the store knows it."""

    request: TrainingRequest
    execution_reason: str
    result: TrainingResult | None = None

    @property
    def fell_back(self) -> bool:
        """Whether it runs here although a host was wanted."""
        return self.execution_reason.endswith(LOCAL_INSTEAD)

    def summary(self) -> OperationSummary:
        """Without the request and the result, which are large."""
        return OperationSummary.model_construct(**{name: getattr(self, name) for name in OperationSummary.model_fields})


class OperationPage(Value):
    """A part of the list of operations, newest first; `total` counts all that the filters let through."""

    items: list[OperationSummary]
    total: int
    limit: int
    offset: int


class EvaluatedRange(Value):
    """One look at a test range, [start, end): each look makes the next result on the same bars a little less honest.

    `operation_id` is the training that looked; None for an evaluation by hand.
    """

    operation_id: str | None
    model: str
    symbols: list[str] = Field(min_length=1)
    timeframe: str
    start: datetime
    end: datetime
    data_digest: str
    at: datetime
