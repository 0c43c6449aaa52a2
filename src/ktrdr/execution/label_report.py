"""The label report: what the answers were, how long each lasts, how far each looks ahead, what that cost in rows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.labels.base import NULL, Labeler, Labels
from ktrdr.execution.rows import Rows, in_range
from ktrdr.execution.splits import Split
from ktrdr.execution.strategy.inputs import TrainingData

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def label_report(
    labeler: Labeler, labels: Sequence[Labels], bars: Sequence[Bars], data: TrainingData, split: Split
) -> dict[str, Any]:
    """The report as plain values; `labels` are those of each symbol's bars. Bars are the unit of lengths.

    `distribution` has an entry a part: shares of the classes, or mean, deviation and quantiles of the numbers.
    """
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    ahead = np.concatenate([rows.known_at - rows.bar for rows in parts.values()])
    counts: Counter[str] = sum((Counter(own.counts) for own in labels), Counter())
    return {
        "distribution": {name: _distribution(rows, labeler.classes) for name, rows in parts.items()},
        "duration_bars": _durations(labels, bars, data, labeler.classes),
        "look_ahead_bars": _lengths(ahead),
        "purged": dict(split.purged),
        **{name: counts[name] for name in labels[0].counts},
        "random_walk_classes": labeler.expectation() or None,
    }


def durations(labels: Labels, kept: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The answer and the length of each run of bars in a row with one answer; bars not kept or without one end it."""
    there = np.flatnonzero(kept & (labels.known_at != NULL))
    if not len(there):
        return labels.label[:0], there
    answers = labels.label[there]
    begins = np.concatenate(([True], (np.diff(there) > 1) | (answers[1:] != answers[:-1])))
    return answers[begins], np.diff(np.append(np.flatnonzero(begins), len(there)))


def _distribution(rows: Rows, classes: Sequence[str]) -> dict[str, float]:
    if classes:
        shares = np.bincount(rows.label, minlength=len(classes)) / len(rows)
        return dict(zip(classes, shares.tolist(), strict=True))
    at = np.quantile(rows.label, QUANTILES).tolist()
    quantiles = {f"q{round(100 * share):02d}": value for share, value in zip(QUANTILES, at, strict=True)}
    return {"mean": float(rows.label.mean()), "sd": float(rows.label.std(ddof=1)), **quantiles}


def _durations(
    labels: Sequence[Labels], bars: Sequence[Bars], data: TrainingData, classes: Sequence[str]
) -> dict[str, dict[str, float]] | None:
    """How long each class lasts on all bars of the range, in runs of bars; None for numbers, which do not last."""
    if not classes:
        return None
    runs = [durations(own, in_range(one, data.start_date)) for own, one in zip(labels, bars, strict=True)]
    answers, lengths = (np.concatenate([run[part] for run in runs]) for part in (0, 1))
    present = [(index, name) for index, name in enumerate(classes) if (answers == index).any()]
    return {
        name: {"runs": int((answers == index).sum()), **_lengths(lengths[answers == index])} for index, name in present
    }


def _lengths(bars: NDArray[np.int64]) -> dict[str, float]:
    return {"median": float(np.median(bars)), "p99": float(np.quantile(bars, 0.99)), "max": int(bars.max())}
