"""Confidence intervals that know that neighbouring labels overlap: the moving block bootstrap (Künsch 1989)."""

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.rows import Rows

REPEATS = 1_000
CONFIDENCE = 0.95


def block_length(rows: Rows) -> int:
    """The 99th percentile of the labels' durations in bars, times the symbols that share a bar."""
    if not len(rows):
        return 1
    durations = rows.known_at - rows.bar
    return max(1, int(np.quantile(durations, 0.99, method="higher")) * len(np.unique(rows.symbol)))


def accuracy_intervals(
    rows: Rows, predicted: NDArray[np.int64], classes: int, generator: np.random.Generator
) -> dict[str, list[float]]:
    """95 % intervals of accuracy and balanced accuracy of predictions on these rows."""
    order = np.argsort(rows.decision, kind="stable")
    label, hit = rows.label[order], (rows.label == predicted)[order]
    occurs = np.eye(classes)[label]
    counts = np.concatenate([occurs, occurs * hit[:, None]], axis=1)
    sums = block_sums(counts, block_length(rows), generator)
    true, hits = sums[:, :classes], sums[:, classes:]
    recall = np.divide(hits, true, out=np.full_like(hits, np.nan), where=true > 0)
    return {
        "accuracy": interval(hits.sum(axis=1) / true.sum(axis=1)),
        "balanced_accuracy": interval(np.nanmean(recall, axis=1)),
    }


def block_sums(values: NDArray[np.float64], length: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Column sums of each resample: as many blocks of consecutive rows, drawn with replacement, as fill the rows."""
    count = len(values)
    length = min(length, count)
    running = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    starts = generator.integers(0, count - length + 1, size=(REPEATS, -(-count // length)))
    sums: NDArray[np.float64] = (running[starts + length] - running[starts]).sum(axis=1)
    return sums


def interval(samples: NDArray[np.float64]) -> list[float]:
    """The middle 95 % of the resamples that have a value."""
    tail = (1.0 - CONFIDENCE) / 2
    defined = samples[np.isfinite(samples)]
    if not len(defined):
        return [float("nan"), float("nan")]
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return [float(low), float(high)]
