"""Trained models as the upper floors see them: records, predictions and evaluations, never tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from pydantic import Field

from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.contracts.values import Value

Content = bytes | Callable[[BinaryIO], object]
"""What a file is to hold: its bytes, or what writes them, piece by piece, into the file that it is handed."""


@dataclass(frozen=True, kw_only=True)
class ModelArtifact:
    """A trained model ready to be stored: files for the weights, plain values for everything a person may read, tables
    for whoever wants to look closer.

    `context` is what `model_full.pt` has beside the state dict of `model.pt`: a sink that sends the model elsewhere
    sends these two.
    """

    operation_id: str
    strategy_name: str
    symbols: tuple[str, ...]
    base_timeframe: str
    weights: Mapping[str, Content]
    context: Content = b""
    documents: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, bytes] = field(default_factory=dict)


class ModelSink(Protocol):
    """Where the executor leaves its model: the storage, or a session's folder on a host."""

    def save(self, artifact: ModelArtifact) -> str:
        """Store it whole or not at all; the answer is its path. Saving one operation twice answers the same."""


class SavedResults(Protocol):
    """What trainings have saved, by their operation."""

    def result_of(self, request: TrainingRequest) -> TrainingResult | None:
        """The result of that operation if its model is saved, whoever saved it; else None."""


class ModelRecord(Value):
    """One stored version. `name` is how commands call it: `{strategy}/{symbol}_{timeframe}_v{N}`."""

    name: str
    strategy_name: str
    version: int
    symbols: list[str]
    base_timeframe: str
    operation_id: str
    created_at: datetime
    is_latest: bool
    path: str
    test_metrics: dict[str, Any]


class ModelDetails(Value):
    """A stored version with its four documents, verified against their digests."""

    record: ModelRecord
    config: dict[str, Any]
    metrics: dict[str, Any]
    features: dict[str, Any]
    metadata: dict[str, Any]


class ModelRepository(Protocol):
    """Stored models. Raises ModelNotFound, ModelCorrupt and StorageFailed.

    A name may leave out what is clear: `{strategy}/{symbol}_{timeframe}` or `…_latest` is the latest version, and
    `{strategy}` alone is enough while it has one symbol and timeframe. The path of a model's folder works too.
    """

    def records(self, strategy: str | None = None) -> list[ModelRecord]: ...

    def show(self, name: str) -> ModelDetails: ...

    def delete(self, name: str) -> ModelRecord:
        """Remove that version; the latest link moves to the highest one left."""


class Signal(Value):
    """What the model says at one bar. `time` is the bar's open stamp; it is decided at the bar's close, `known`.

    A classification has the `probabilities` of its classes and the `confidence` in the most probable one; a regression
    has the `predicted` return.
    """

    symbol: str
    time: datetime
    known: datetime
    signal: str
    confidence: float | None = None
    probabilities: dict[str, float] = Field(default_factory=dict)
    predicted: float | None = None
    is_event: bool = True


class Prediction(Value):
    """Signals for a range of bars, oldest first. `notices` says what a reader should know."""

    model: str
    signals: list[Signal]
    rows: int
    notices: list[str]


class Evaluation(Value):
    """A model judged on bars it names. `metrics` has the model's, `baselines` those of each baseline, on the same
    rows; `reproduces` compares with the stored test, when the rows are the stored test's."""

    model: str
    symbols: list[str]
    timeframe: str
    start: datetime
    end: datetime
    rows: int
    metrics: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    per_symbol_metrics: dict[str, Any]
    reproduces: dict[str, Any] | None
    notices: list[str]


class ModelUser(Protocol):
    """Uses stored models on stored bars, with the feature code of training."""

    def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction:
        """Signals for every bar in [start, end) that has its features; `last` keeps only the newest ones."""

    def evaluate(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation:
        """Metrics on [start, end); with no range and no symbols, on the stored test rows."""
