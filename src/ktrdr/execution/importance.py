"""Permutation importance: what a model loses when a feature, or all features of an indicator, tell it nothing
(Breiman 2001, on validation rows as López de Prado 2018, 8.3.2 advises)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import TrainingCancelled
from ktrdr.execution.dataset import Examples
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.metrics import confusion_matrix, log_loss, matrix_metrics, prior_corrected
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.seeds import torch_generator

REPEATS = 5
LARGEST_SAMPLE = 50_000
"""Rows; more make the ranking slower and no clearer."""


def permutation_importance(
    model: Classifier,
    validation: Examples,
    columns: Sequence[FeatureColumn],
    class_weights: NDArray[np.float64],
    seed: int,
    is_cancelled: IsCancelled = lambda: False,
) -> dict[str, Any]:
    """For each feature and each indicator: how much the log loss (prior-corrected) rises and the balanced accuracy
    falls, mean over the repeats, when its columns are shuffled together among the validation rows."""
    generator = torch_generator(seed, "importance")
    score = _scorer(model, validation, class_weights)
    features = _sample(validation, generator)
    labels = features.labels.cpu().numpy()
    base = score(features.features, labels)
    groups = {("features", column.name): [index] for index, column in enumerate(columns)}
    for name, indices in _by_indicator(columns).items():
        groups["indicators", name] = indices
    result: dict[str, Any] = {"features": {}, "indicators": {}, "rows": len(labels), "repeats": REPEATS}
    for (kind, name), indices in groups.items():
        losses = []
        for _ in range(REPEATS):
            if is_cancelled():
                raise TrainingCancelled("the training was cancelled")
            losses.append(score(_shuffled(features.features, indices, generator), labels))
        worse = np.mean(losses, axis=0) - base
        result[kind][name] = {"log_loss": float(worse[0]), "balanced_accuracy": float(-worse[1])}
    return result


def _scorer(
    model: Classifier, validation: Examples, class_weights: NDArray[np.float64]
) -> Callable[[Tensor, NDArray[np.int64]], NDArray[np.float64]]:
    def score(features: Tensor, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        raw = model.probabilities(features).cpu().numpy().astype(np.float64)
        matrix = confusion_matrix(labels, raw.argmax(axis=1), raw.shape[1])
        loss = log_loss(prior_corrected(raw, class_weights), labels)
        return np.array([loss, matrix_metrics(matrix)["balanced_accuracy"]])

    return score


def _sample(examples: Examples, generator: torch.Generator) -> Examples:
    count = len(examples.labels)
    if count <= LARGEST_SAMPLE:
        return examples
    return examples.take(torch.randperm(count, generator=generator)[:LARGEST_SAMPLE])


def _shuffled(features: Tensor, indices: Sequence[int], generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(features), generator=generator).to(features.device)
    shuffled = features.clone()
    shuffled[:, indices] = features[order][:, indices]
    return shuffled


def _by_indicator(columns: Sequence[FeatureColumn]) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.indicator, []).append(index)
    return groups
