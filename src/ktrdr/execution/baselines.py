"""What a model has to beat: three judges that need no network, scored on the same rows by the same metrics.

They are fitted on the training rows and stored with the model, so that they can be asked again on other bars.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ktrdr.execution.dataset import Dataset
from ktrdr.execution.labels.base import NULL, Answers, Labels
from ktrdr.execution.metrics import classification_metrics
from ktrdr.execution.rows import Rows

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Baselines:
    """The fitted numbers of all three: shares of the classes (classes,), frequencies of each class behind each latest
    known label, none known yet being the last row (classes + 1, classes), and the coefficients of the logistic
    regression on normalised features, the intercept last (features + 1, classes)."""

    prior: Array
    frequencies: Array
    coefficients: Array

    def judge(
        self,
        rows: Rows,
        normalised: Tensor,
        labels: Sequence[Labels],
        classes: Sequence[str],
        class_weights: Array,
    ) -> dict[str, dict[str, Any]]:
        """The metrics of each on these rows; `labels` are those of each symbol, `normalised` the rows' features."""
        known = known_labels(rows, labels)
        common = int(self.prior.argmax())
        majority = np.tile(self.prior, (len(rows), 1))
        logits = normalised.cpu().double().numpy() @ self.coefficients[:-1] + self.coefficients[-1]
        logistic = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
        return {
            "majority_class": classification_metrics(majority, rows.label, classes),
            "last_known_label": classification_metrics(
                self.frequencies[known], rows.label, classes, predicted=np.where(known == NULL, common, known)
            ),
            "logistic_regression": classification_metrics(logistic, rows.label, classes, class_weights),
        }


def fit_baselines(dataset: Dataset, labels: Sequence[Labels], classes: int) -> Baselines:
    """All three, fitted on the training rows."""
    train = dataset.split.train
    counts = np.ones((classes + 1, classes))  # each count begins at one, so that no probability is zero
    np.add.at(counts, (known_labels(train, labels), train.label), 1.0)
    with torch.no_grad():
        normalised = dataset.normaliser(torch.from_numpy(train.features))
    return Baselines(
        prior=dataset.prior,
        frequencies=counts / counts.sum(axis=1, keepdims=True),
        coefficients=logistic_coefficients(normalised, dataset.train.labels, dataset.train.weights, classes),
    )


def latest_known(labels: Labels) -> Answers:
    """At each bar the label of the latest bar whose label was known by then; NULL, or NaN, before there is one.

    (The previous bar's own label would be look-ahead: it is settled later.)
    """
    bars = np.flatnonzero(labels.known_at != NULL)
    newest = np.full(len(labels.label), NULL, dtype=np.int64)
    np.maximum.at(newest, labels.known_at[bars], bars)
    newest = np.maximum.accumulate(newest)
    return np.where(newest == NULL, _none(labels.label), labels.label[newest])


def known_labels(rows: Rows, labels: Sequence[Labels]) -> Any:
    """The latest known label at each row's bar, of its own symbol; NULL, or NaN, before there is one."""
    known = np.full(len(rows), _none(rows.label), dtype=rows.label.dtype)
    for index, own in enumerate(labels):
        mine = rows.symbol == index
        known[mine] = latest_known(own)[rows.bar[mine]]
    return known


def _none(labels: Answers) -> float:
    return NULL if labels.dtype == np.int64 else np.nan


def logistic_coefficients(features: Tensor, labels: Tensor, weights: Tensor, classes: int) -> Array:
    """Weighted multinomial logistic regression, (features + 1, classes), the intercept last.

    The maximum of a concave function, found by torch's L-BFGS in float64 on the CPU; an L2 penalty of 1/2 on the
    coefficients keeps it finite, as scikit-learn's C = 1 does (which the tests compare with).
    """
    inputs, targets, weight = features.cpu().double(), labels.cpu(), weights.cpu().double()
    coefficients = torch.zeros(inputs.shape[1] + 1, classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [coefficients], max_iter=200, tolerance_grad=1e-7, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        logits = inputs @ coefficients[:-1] + coefficients[-1]
        rows = functional.cross_entropy(logits, targets, reduction="none")
        value = (torch.dot(rows, weight) + coefficients[:-1].square().sum() / 2) / len(weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(coefficients.detach().numpy())
