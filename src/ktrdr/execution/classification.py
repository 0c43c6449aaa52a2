"""The judge of classifications."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.execution.baselines import Baselines, fit_baselines
from ktrdr.execution.dataset import Dataset
from ktrdr.execution.intervals import accuracy_intervals
from ktrdr.execution.judge import Judge, Outputs
from ktrdr.execution.labels.base import Answers, Labels
from ktrdr.execution.metrics import (
    classification_metrics,
    confusion_matrix,
    log_loss,
    matrix_metrics,
    prior_corrected,
)
from ktrdr.execution.rows import Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationJudge(Judge):
    """Judges probabilities of classes; it knows the class weights of training and three fitted baselines."""

    classes: tuple[str, ...]
    class_weights: NDArray[np.float64]
    baselines: Baselines
    scores: ClassVar[Mapping[str, int]] = {"log_loss": 1, "balanced_accuracy": -1}

    @classmethod
    def fit(cls, dataset: Dataset, labels: Sequence[Labels], classes: tuple[str, ...], seed: int) -> Self:
        """With its baselines fitted on the training rows."""
        baselines = fit_baselines(dataset, labels, len(classes))
        return cls(seed=seed, classes=classes, class_weights=dataset.class_weights, baselines=baselines)

    @classmethod
    def restore(cls, state: Mapping[str, Tensor], classes: tuple[str, ...], seed: int) -> Self:
        """From `state`."""
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        weights = arrays.pop("class_weights")
        return cls(seed=seed, classes=classes, class_weights=weights, baselines=Baselines(**arrays))

    def state(self) -> dict[str, Tensor]:
        arrays = {"class_weights": self.class_weights, **vars(self.baselines)}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def metrics(self, outputs: Outputs, rows: Rows) -> dict[str, Any]:
        return classification_metrics(outputs, rows.label, self.classes, self.class_weights)

    def intervals(self, outputs: Outputs, rows: Rows, generator: np.random.Generator) -> dict[str, list[float]]:
        return accuracy_intervals(rows, outputs.argmax(axis=1), len(self.classes), generator)

    def judge_baselines(self, rows: Rows, normalised: Tensor, labels: Sequence[Labels]) -> dict[str, dict[str, Any]]:
        return self.baselines.judge(rows, normalised, labels, self.classes, self.class_weights)

    def score(self, outputs: Outputs, labels: Answers) -> dict[str, float]:
        """The log loss, prior-corrected, and the balanced accuracy."""
        matrix = confusion_matrix(labels, outputs.argmax(axis=1), len(self.classes))
        return {
            "log_loss": log_loss(prior_corrected(outputs, self.class_weights), labels),
            "balanced_accuracy": matrix_metrics(matrix)["balanced_accuracy"],
        }
