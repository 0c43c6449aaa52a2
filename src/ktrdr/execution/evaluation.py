"""Evaluation: a trained model and its baselines on the same rows, by the same metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.execution.baselines import Baselines
from ktrdr.execution.intervals import accuracy_intervals
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.metrics import classification_metrics
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.rows import Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The model's metrics with those of the baselines, the model's for each symbol, and the probabilities behind them,
    (rows, classes) float32."""

    metrics: dict[str, Any]
    per_symbol: dict[str, dict[str, Any]]
    probabilities: NDArray[np.float32]
    notices: list[str] = field(default_factory=list)


def evaluate(
    model: Classifier,
    rows: Rows,
    features: Tensor,
    labels: Sequence[Labels],
    *,
    baselines: Baselines,
    classes: Sequence[str],
    class_weights: NDArray[np.float64],
    bootstrap: np.random.Generator,
) -> Evaluation:
    """Score a model on rows; `features` are the rows' features on the model's device, `labels` those of each symbol."""
    raw = model.probabilities(features).cpu().numpy()
    probabilities = raw.astype(np.float64)
    metrics = classification_metrics(probabilities, rows.label, classes, class_weights)
    metrics["effective_rows"] = float(rows.uniqueness().sum())
    metrics["intervals"] = accuracy_intervals(rows, probabilities.argmax(axis=1), len(classes), bootstrap)
    metrics["baselines"] = baselines.judge(rows, model.normalised(features), labels, classes, class_weights)
    per_symbol = {
        symbol: classification_metrics(probabilities[own], rows.label[own], classes, class_weights)
        for index, symbol in enumerate(rows.symbols)
        if (own := rows.symbol == index).any()
    }
    return Evaluation(metrics=metrics, per_symbol=per_symbol, probabilities=raw, notices=_notices(rows))


def _notices(rows: Rows) -> list[str]:
    effective = float(rows.uniqueness().sum())
    if effective < 100:
        return [f"the {len(rows)} rows judged are worth {effective:.0f} independent labels: expect wide intervals"]
    return []
