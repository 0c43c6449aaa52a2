"""Rows: what a model is trained and judged on, each a symbol and a base bar with all inputs, a label and an event."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.builder import FeatureMatrix
from ktrdr.execution.labels.base import NULL, Answers, Labels
from ktrdr.execution.labels.uniqueness import uniqueness
from ktrdr.execution.strategy.inputs import TrainingData
from ktrdr.execution.windows import Features, Windows

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one or more symbols, in the order of symbols, then of time; every array but `table` has one entry a row.

    `table` has the features of every base bar of all symbols, and `place` is where a row stands in it. `symbol` indexes
    `symbols`, `bar` and `known_at` the symbol's base bars; `time` and `decision` are the bar's open stamp and its
    close, microseconds UTC.
    """

    symbols: tuple[str, ...]
    table: NDArray[np.float32]
    place: NDArray[np.int64]
    label: Answers
    symbol: NDArray[np.int64]
    bar: NDArray[np.int64]
    known_at: NDArray[np.int64]
    time: NDArray[np.int64]
    decision: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Rows":
        """The rows named by a mask or by indices."""
        return replace(self, **{name: getattr(self, name)[which] for name in _ARRAYS})

    @property
    def features(self) -> NDArray[np.float32]:
        """The features of each row, (rows, features)."""
        return np.asarray(self.table[self.place])

    def inputs(self, window: int) -> Features:
        """What a network that reads `window` bars reads of each row."""
        return inputs_at(self.table, self.place, window)

    def uniqueness(self) -> NDArray[np.float64]:
        """Each row's uniqueness among these rows of its symbol; the sum is the effective sample size."""
        weights = np.empty(len(self))
        for index in np.unique(self.symbol):
            own = self.symbol == index
            weights[own] = uniqueness(self.bar[own], self.known_at[own])
        return weights


_ARRAYS = ("place", "label", "symbol", "bar", "known_at", "time", "decision")


def inputs_at(table: NDArray[np.float32], place: NDArray[np.int64], window: int) -> Features:
    """The rows of the table at these places, or the windows of so many rows that end there."""
    if window == 1:
        return torch.from_numpy(np.ascontiguousarray(table[place]))
    return Windows(torch.from_numpy(np.ascontiguousarray(table)), torch.from_numpy(place), window)


def in_range(bars: Bars, start: datetime | None) -> NDArray[np.bool_]:
    """Which bars open at or after `start`; those before it are history."""
    if start is None:
        return np.ones(len(bars), dtype=np.bool_)
    return bars.time >= round(start.timestamp() * 1e6)


def rows_of(
    bars: Sequence[Bars],
    matrices: Sequence[FeatureMatrix],
    labels: Sequence[Labels],
    data: TrainingData,
    window: int = 1,
) -> tuple[Rows, dict[str, int]]:
    """The rows of all symbols, and how many bars of the range were dropped for which reason.

    Each symbol has its base bars, and of these a feature matrix and labels. Inputs have to be defined on the last
    `window` bars, of which some may lie before the range.
    """
    dropped = dict.fromkeys(("warm_up", "undefined_input", "end_of_range", "no_label", "no_event"), 0)
    parts, first = [], 0
    for index, (own, matrix, label) in enumerate(zip(bars, matrices, labels, strict=True)):
        kept = in_range(own, data.start_date)
        for reason, passes in (
            ("warm_up", matrix.history >= data.history_required),
            ("undefined_input", matrix.usable(window)),
            ("end_of_range", np.arange(len(own)) < len(own) - label.tail),
            ("no_label", label.known_at != NULL),
            ("no_event", label.event),
        ):
            dropped[reason] += int((kept & ~passes).sum())
            kept &= passes
        parts.append(_rows_of_one(index, own, first, label, np.flatnonzero(kept)))
        first += len(own)
    table = matrices[0].values if len(matrices) == 1 else np.concatenate([matrix.values for matrix in matrices])
    if window > 1:  # windows are stretches of rows, of which all parts share one table
        table = np.ascontiguousarray(table)
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in _ARRAYS}
    return Rows(symbols=tuple(own.symbol for own in bars), table=table, **arrays), dropped


def _rows_of_one(
    index: int, bars: Bars, first: int, labels: Labels, which: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    return {
        "place": first + which,
        "label": labels.label[which],
        "symbol": np.full(len(which), index, dtype=np.int64),
        "bar": which,
        "known_at": labels.known_at[which],
        "time": bars.time[which],
        "decision": bars.closes[which],
    }
