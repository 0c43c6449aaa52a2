"""What judges have in common: a model and its baselines, scored on the same rows by the same metrics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.execution.labels.base import Answers, Labels
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.rows import Rows
from ktrdr.execution.seeds import numpy_generator

FEW_EFFECTIVE_ROWS = 100
Outputs = NDArray[np.float64]
"""What a model says of each row: (rows, classes) probabilities, or (rows, 1) predicted numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The model's metrics with those of the baselines, the model's for each symbol, and the outputs behind them,
    float32: (rows, classes) probabilities, or (rows, 1) predicted numbers."""

    metrics: dict[str, Any]
    per_symbol: dict[str, dict[str, Any]]
    outputs: NDArray[np.float32]
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge(ABC):
    """Scores models on rows: what was fitted on the training rows, and nothing else, is what it knows.

    `scores` names the numbers of `score`, with +1 for a loss and -1 for a skill.
    """

    seed: int
    scores: ClassVar[Mapping[str, int]]

    @abstractmethod
    def metrics(self, outputs: Outputs, rows: Rows) -> dict[str, Any]:
        """How good these answers are."""

    @abstractmethod
    def intervals(self, outputs: Outputs, rows: Rows, generator: np.random.Generator) -> dict[str, list[float]]:
        """95 % intervals of some of the metrics."""

    @abstractmethod
    def judge_baselines(self, rows: Rows, normalised: Tensor, labels: Sequence[Labels]) -> dict[str, dict[str, Any]]:
        """The metrics of each baseline on these rows, of which `normalised` has the features; `labels` are those of
        each symbol's bars."""

    @abstractmethod
    def score(self, outputs: Outputs, labels: Answers) -> dict[str, float]:
        """What a ranking of features compares, with the keys of `scores`."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that was fitted, to be stored with the model."""

    def evaluate(self, model: Predictor, rows: Rows, labels: Sequence[Labels]) -> Evaluation:
        """Score a model, on whatever device it lies; `labels` are those of each symbol's bars."""
        raw = model.outputs(rows.inputs(model.window).to(model.device)).cpu().numpy()
        outputs = raw.astype(np.float64)
        effective = float(rows.uniqueness().sum())
        normalised = model.normaliser(torch.from_numpy(rows.features).to(model.device)).cpu()
        metrics = {
            **self.metrics(outputs, rows),
            "effective_rows": effective,
            "intervals": self.intervals(outputs, rows, numpy_generator(self.seed, "bootstrap")),
            "baselines": self.judge_baselines(rows, normalised, labels),
        }
        per_symbol = {
            symbol: self.metrics(outputs[own], rows.take(own))
            for index, symbol in enumerate(rows.symbols)
            if (own := rows.symbol == index).any()
        }
        notices = [_few(len(rows), effective)] if effective < FEW_EFFECTIVE_ROWS else []
        return Evaluation(metrics=metrics, per_symbol=per_symbol, outputs=raw, notices=notices)


def _few(rows: int, effective: float) -> str:
    return f"the {rows:,} rows judged are worth {effective:.0f} independent labels: expect wide intervals"
