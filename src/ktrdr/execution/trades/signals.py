"""From what a model gives to BUY, HOLD and SELL. Prediction and evaluation call this code and no other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.labels.base import BUY, HOLD, SELL
from ktrdr.execution.trades.rules import Rules

Outputs = NDArray[np.floating[Any]]
"""Probabilities (rows, 3) of BUY, HOLD and SELL, or expected returns, (rows,) or (rows, 1)."""


def signals(outputs: Outputs, rules: Rules) -> NDArray[np.int64]:
    """The signal of each row; rows that are no numbers say HOLD.

    Of probabilities: the likeliest class where its probability reaches the threshold, else HOLD. Of expected returns:
    BUY above the threshold, SELL below its negative.
    """
    if rules.regression:
        values = outputs.reshape(len(outputs))
        return np.where(values > rules.threshold, BUY, np.where(values < -rules.threshold, SELL, HOLD))
    best, probability = _likeliest(outputs)
    return np.where(probability >= np.float32(rules.threshold), best, HOLD)  # rounded as they are: 0.7 reaches 0.7


def largest_edge(outputs: Outputs, rules: Rules) -> float | None:
    """What came nearest to a trade: the largest expected move, or the largest probability with which BUY or SELL was
    the likeliest class; None where it never was."""
    if rules.regression:
        edges = np.abs(outputs.reshape(len(outputs)))
    else:
        best, probability = _likeliest(outputs)
        edges = probability[best != HOLD]
    edges = edges[np.isfinite(edges)]
    return float(edges.max()) if len(edges) else None


def _likeliest(outputs: Outputs) -> tuple[NDArray[np.int64], Outputs]:
    best = outputs.argmax(axis=1)
    return best, np.take_along_axis(outputs, best[:, None], axis=1)[:, 0]
