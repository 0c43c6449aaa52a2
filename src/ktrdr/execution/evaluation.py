"""Evaluation: a trained model and its baselines on the same rows, by the same metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.execution.baselines import Baselines, fit_baselines
from ktrdr.execution.dataset import Dataset
from ktrdr.execution.intervals import accuracy_intervals
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.metrics import classification_metrics
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.rows import Rows
from ktrdr.execution.seeds import numpy_generator
from ktrdr.execution.strategy.learning import Training

FEW_EFFECTIVE_ROWS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The model's metrics with those of the baselines, the model's for each symbol, and the probabilities behind them,
    (rows, classes) float32."""

    metrics: dict[str, Any]
    per_symbol: dict[str, dict[str, Any]]
    probabilities: NDArray[np.float32]
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Scores models on rows: what was fitted on the training rows, and nothing else, is what it knows."""

    classes: tuple[str, ...]
    class_weights: NDArray[np.float64]
    baselines: Baselines
    seed: int

    def evaluate(self, model: Classifier, rows: Rows, labels: Sequence[Labels]) -> Evaluation:
        """Score a model, on whatever device it lies; `labels` are those of each symbol's bars."""
        features = torch.from_numpy(np.ascontiguousarray(rows.features)).to(model.device)
        raw = model.probabilities(features).cpu().numpy()
        probabilities = raw.astype(np.float64)
        metrics = self._metrics(probabilities, rows)
        metrics["effective_rows"] = effective = float(rows.uniqueness().sum())
        bootstrap = numpy_generator(self.seed, "bootstrap")
        metrics["intervals"] = accuracy_intervals(rows, probabilities.argmax(axis=1), len(self.classes), bootstrap)
        normalised = model.normalised(features)
        metrics["baselines"] = self.baselines.judge(rows, normalised, labels, self.classes, self.class_weights)
        per_symbol = {
            symbol: self._metrics(probabilities[own], rows.take(own))
            for index, symbol in enumerate(rows.symbols)
            if (own := rows.symbol == index).any()
        }
        notices = [_few(len(rows), effective)] if effective < FEW_EFFECTIVE_ROWS else []
        return Evaluation(metrics=metrics, per_symbol=per_symbol, probabilities=raw, notices=notices)

    def _metrics(self, probabilities: NDArray[np.float64], rows: Rows) -> dict[str, Any]:
        return classification_metrics(probabilities, rows.label, self.classes, self.class_weights)


def fit_judge(dataset: Dataset, labels: Sequence[Labels], training: Training) -> Judge:
    """A judge with its baselines fitted on the training rows."""
    classes = training.labels.classes
    return Judge(
        classes=classes,
        class_weights=dataset.class_weights,
        baselines=fit_baselines(dataset, labels, len(classes)),
        seed=training.seed,
    )


def _few(rows: int, effective: float) -> str:
    return f"the {rows:,} rows judged are worth {effective:.0f} independent labels: expect wide intervals"
