"""Detailed analytics of a training, when they are asked for: one row an epoch, as a table of the model's folder."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ktrdr.execution.metrics import confusion_matrix, per_class
from ktrdr.execution.regression_metrics import regression_metrics

TABLE = "analytics.csv"


def gradient_details(norms: Sequence[Tensor]) -> dict[str, float]:
    """Mean and maximum over an epoch's batches of the gradient's Euclidean norm, before it was clipped."""
    if not norms:
        return {}
    each = torch.stack(list(norms))
    return {"gradient_norm_mean": each.mean().item(), "gradient_norm_max": each.max().item()}


def validation_details(answers: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 of each class on the validation rows; of numbers, the metrics of a regression."""
    said, truth = answers.cpu().numpy(), labels.cpu().numpy()
    if not classes:
        metrics = regression_metrics(said[:, 0].astype(float), truth.astype(float))
        return {f"val_{name}": value for name, value in metrics.items() if name != "rows"}
    scores = per_class(confusion_matrix(truth, said.argmax(axis=1), len(classes)), classes)
    return {
        f"val_{metric}_{name}": score[metric]
        for name, score in scores.items()
        for metric in ("precision", "recall", "f1")
    }


def analytics_table(training_metrics: Mapping[str, Any]) -> bytes | None:
    """The history of a training as CSV, one row an epoch; None when it has no details."""
    history = training_metrics["history"]
    if not history or "gradient_norm_mean" not in history[0]:
        return None
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue().encode()
