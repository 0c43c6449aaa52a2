"""Classification metrics from probabilities and labels, all of them from one confusion matrix and one log loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.calibration import brier_score, expected_calibration_error

Probabilities = NDArray[np.float64]
SMALLEST = float(np.finfo(np.float32).eps)


def confusion_matrix(label: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts, (true class, predicted class)."""
    return np.bincount(label * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def classification_metrics(
    probabilities: Probabilities,
    label: NDArray[np.int64],
    classes: Sequence[str],
    class_weights: NDArray[np.float64] | None = None,
    predicted: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Accuracy, balanced accuracy, macro F1, MCC, log loss, calibration and the confusion matrix; the same keys for
    every judge.

    Probabilities are (rows, classes). With `class_weights`, what is called `…_prior_corrected` takes back the shift
    that weighted training gave them. `predicted` is the most probable class unless given. Balanced accuracy is a mean
    over the classes that occur, macro F1 over those that occur or are predicted.
    """
    matrix = confusion_matrix(label, probabilities.argmax(axis=1) if predicted is None else predicted, len(classes))
    corrected = probabilities if class_weights is None else prior_corrected(probabilities, class_weights)
    return {
        "rows": len(label),
        "classes": list(classes),
        **matrix_metrics(matrix),
        "log_loss": log_loss(probabilities, label),
        "log_loss_prior_corrected": log_loss(corrected, label),
        "brier": brier_score(probabilities, label),
        "brier_prior_corrected": brier_score(corrected, label),
        "calibration_error": expected_calibration_error(probabilities, label),
        "calibration_error_prior_corrected": expected_calibration_error(corrected, label),
        "confusion_matrix": matrix.tolist(),
        "per_class": per_class(matrix, classes),
    }


def matrix_metrics(matrix: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1 and the multiclass Matthews correlation (Gorodkin 2004)."""
    total, hits = float(matrix.sum()), matrix.diagonal().astype(np.float64)
    true, predicted = matrix.sum(axis=1).astype(np.float64), matrix.sum(axis=0).astype(np.float64)
    occurs = true > 0
    f1 = _ratio(2 * hits, true + predicted)[(true + predicted) > 0]
    spread = np.sqrt((total**2 - (predicted**2).sum()) * (total**2 - (true**2).sum()))
    covariance = hits.sum() * total - (true * predicted).sum()
    return {
        "accuracy": float(hits.sum() / total) if total else float("nan"),
        "balanced_accuracy": float((hits[occurs] / true[occurs]).mean()) if total else float("nan"),
        "macro_f1": float(f1.mean()) if total else float("nan"),
        "mcc": float(covariance / spread) if spread > 0 else 0.0,
    }


def per_class(matrix: NDArray[np.int64], classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each class; 0 where a ratio has no denominator."""
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = zip(
        classes, _ratio(hits, predicted), _ratio(hits, true), _ratio(2 * hits, true + predicted), true, strict=True
    )
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
        for name, p, r, f, support in rows
    }


def log_loss(probabilities: Probabilities, label: NDArray[np.int64]) -> float:
    """The mean of -ln p of the true class, p not below float32's epsilon."""
    if not len(label):
        return float("nan")
    return float(-np.log(np.clip(probabilities[np.arange(len(label)), label], SMALLEST, 1.0)).mean())


def prior_corrected(probabilities: Probabilities, class_weights: NDArray[np.float64]) -> Probabilities:
    """Probabilities of a model trained with class weights, as they would be without: p_k / w_k, made to sum to 1."""
    divided = probabilities / class_weights
    return np.asarray(divided / divided.sum(axis=1, keepdims=True))


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(above, below, out=np.zeros(len(below)), where=below > 0)
    return ratio
