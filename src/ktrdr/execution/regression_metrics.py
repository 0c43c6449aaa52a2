"""Metrics of predicted numbers, and their intervals."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.execution.intervals import block_length, block_sums, interval
from ktrdr.execution.rows import Rows

Array = NDArray[np.float64]


def regression_metrics(predicted: Array, truth: Array) -> dict[str, Any]:
    """MAE and RMSE in the labels' unit; R² against the mean of these labels; the share of rows whose sign is right
    (a prediction of 0 has none); and the information coefficient, Spearman's rank correlation (Grinold & Kahn 1999),
    which is NaN where all predictions are one number."""
    error = predicted - truth
    spread = float(np.square(truth - truth.mean()).sum()) if len(truth) else 0.0
    mean = np.mean if len(truth) else (lambda _: float("nan"))
    return {
        "rows": len(truth),
        "mae": float(mean(np.abs(error))),
        "rmse": float(np.sqrt(mean(np.square(error)))),
        "r2": 1.0 - float(np.square(error).sum()) / spread if spread > 0 else float("nan"),
        "directional_accuracy": float(mean(np.sign(predicted) == np.sign(truth))),
        "information_coefficient": correlation(ranks(predicted), ranks(truth)),
    }


def regression_intervals(predicted: Array, rows: Rows, generator: np.random.Generator) -> dict[str, list[float]]:
    """95 % intervals of directional accuracy, R² and information coefficient, by blocks as long as the labels.

    The ranks are those among all rows: a resample draws pairs of ranks.
    """
    order = np.argsort(rows.decision, kind="stable")
    predicted, truth = predicted[order], rows.label[order].astype(np.float64)
    p, t = ranks(predicted), ranks(truth)
    parts = [np.sign(predicted) == np.sign(truth), (predicted - truth) ** 2, truth, truth**2, p, t, p * p, t * t, p * t]
    sums = block_sums(np.stack(parts, axis=1).astype(np.float64), block_length(rows), generator)
    hit, error, total, squares, sp, st, spp, stt, spt = sums.T
    count = np.full(len(sums), _resampled(len(rows), block_length(rows)))
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - error / (squares - total**2 / count)
        ic = (spt - sp * st / count) / np.sqrt((spp - sp**2 / count) * (stt - st**2 / count))
    return {
        "directional_accuracy": interval(hit / count),
        "r2": interval(r2),
        "information_coefficient": interval(ic),
    }


def ranks(values: Array) -> Array:
    """Ranks from 1, ties sharing their mean, centred on 0 so that sums of products keep their digits."""
    ranked = pl.Series(values).rank("average").to_numpy()
    return np.asarray(ranked - ranked.mean()) if len(ranked) else np.asarray(ranked)


def correlation(left: Array, right: Array) -> float:
    """Pearson's correlation; NaN where one side does not vary."""
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _resampled(count: int, length: int) -> int:
    """How many rows a resample has: whole blocks that fill the rows."""
    length = min(length, count)
    return -(-count // length) * length
