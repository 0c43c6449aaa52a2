"""The judge of regressions, and what a predicted number has to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.execution.baselines import known_labels
from ktrdr.execution.dataset import Dataset
from ktrdr.execution.judge import Judge, Outputs
from ktrdr.execution.labels.base import Answers, Labels
from ktrdr.execution.regression_metrics import regression_intervals, regression_metrics
from ktrdr.execution.rows import Rows

Array = NDArray[np.float64]
PENALTY = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RegressionJudge(Judge):
    """Judges predicted numbers beside four baselines fitted on the training rows: no change at all, their mean, a line
    through the latest known label (slope, intercept), and ridge regression on the features (coefficients, the intercept
    last)."""

    mean: Array
    line: Array
    coefficients: Array
    scores: ClassVar[Mapping[str, int]] = {"r2": -1, "information_coefficient": -1}

    @classmethod
    def fit(cls, dataset: Dataset, labels: Sequence[Labels], seed: int) -> Self:
        """With its baselines fitted on the training rows."""
        train = dataset.split.train
        with torch.no_grad():
            inputs = dataset.normaliser(torch.from_numpy(train.features)).double().numpy()
        truth, weights = train.label.astype(np.float64), dataset.train.weights.double().numpy()
        known = known_labels(train, labels)
        there = np.isfinite(known)
        return cls(
            seed=seed,
            mean=np.atleast_1d(np.average(truth, weights=weights)),
            line=ridge(known[there, None], truth[there], weights[there], penalty=0.0),
            coefficients=ridge(inputs, truth, weights),
        )

    @classmethod
    def restore(cls, state: Mapping[str, Tensor], seed: int) -> Self:
        """From `state`."""
        return cls(seed=seed, **{name: tensor.numpy() for name, tensor in state.items()})

    def state(self) -> dict[str, Tensor]:
        return {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "line", "coefficients")}

    def metrics(self, outputs: Outputs, rows: Rows) -> dict[str, Any]:
        return regression_metrics(outputs[:, 0], rows.label.astype(np.float64))

    def intervals(self, outputs: Outputs, rows: Rows, generator: np.random.Generator) -> dict[str, list[float]]:
        return regression_intervals(outputs[:, 0], rows, generator)

    def judge_baselines(self, rows: Rows, normalised: Tensor, labels: Sequence[Labels]) -> dict[str, dict[str, Any]]:
        truth, known = rows.label.astype(np.float64), known_labels(rows, labels)
        mean = np.full(len(rows), self.mean[0])
        line = np.where(np.isfinite(known), known * self.line[0] + self.line[1], mean)
        ridged = normalised.double().numpy() @ self.coefficients[:-1] + self.coefficients[-1]
        baselines = {
            "no_change": np.zeros(len(rows)),
            "training_mean": mean,
            "last_known_label": line,
            "ridge_regression": ridged,
        }
        return {name: regression_metrics(predicted, truth) for name, predicted in baselines.items()}

    def score(self, outputs: Outputs, labels: Answers) -> dict[str, float]:
        """R² and the information coefficient; of answers that are all one number the latter counts as 0."""
        metrics = regression_metrics(outputs[:, 0], labels.astype(np.float64))
        return {name: float(np.nan_to_num(metrics[name])) for name in self.scores}


def ridge(inputs: Array, truth: Array, weights: Array, penalty: float = PENALTY) -> Array:
    """Weighted ridge regression (Hoerl & Kennard 1970), the intercept last and free of the penalty; a column that does
    not vary gets 0."""
    if not len(truth):
        return np.zeros(inputs.shape[1] + 1)
    centre, middle = np.average(inputs, axis=0, weights=weights), np.average(truth, weights=weights)
    away = inputs - centre
    gram = (away * weights[:, None]).T @ away + penalty * np.eye(inputs.shape[1])
    slopes = np.linalg.lstsq(gram, (away * weights[:, None]).T @ (truth - middle), rcond=None)[0]
    return np.append(slopes, middle - centre @ slopes)
