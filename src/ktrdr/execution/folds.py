"""The splits of a cross-validation: walk-forward, and combinatorial purged cross-validation.

Their boundaries are dates, the same for all symbols, and follow from time stamps alone, as those of the one split do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import NotEnoughData
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.rows import Rows, in_range
from ktrdr.execution.splits import Split, embargo_bars, require_enough, settled_at, split_at
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.inputs import TrainingData
from ktrdr.execution.strategy.learning import DataSplit
from ktrdr.execution.strategy.validation import Combinatorial, WalkForward

Range = tuple[int, int]
"""[start, end) of decision times, microseconds UTC."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One split of a cross-validation and the ranges of decision times that its test covers."""

    name: str
    split: Split
    test_ranges: tuple[Range, ...]


def folds_of(rows: Rows, bars: Sequence[Bars], strategy: Strategy, reach: int) -> list[Fold]:
    """The folds of the strategy's `training.validation` in their order; none without it. `reach` is how many base bars
    the features of one bar look back.

    The shares of training and validation in what a fold learns from are those of `data_split`, so is the embargo.
    """
    data, split = strategy.training_data, strategy.training.data_split
    match strategy.training.validation:
        case None:
            return []
        case WalkForward() as validation:
            return list(_walk_forward(rows, bars, data, split, validation))
        case Combinatorial() as validation:
            return list(_combinatorial(rows, bars, data, split, validation, reach + strategy.model.window - 1))


def require_enough_folds(folds: Sequence[Fold], classes: Sequence[str]) -> None:
    """Raises NotEnoughData, with the fold's name, unless every part of every fold can be learnt from or judged by."""
    for fold in folds:
        try:
            require_enough(fold.split, classes)
        except NotEnoughData as error:
            raise NotEnoughData(f"training.validation, {fold.name}: {error}; or choose fewer folds") from None


def _walk_forward(
    rows: Rows, bars: Sequence[Bars], data: TrainingData, split: DataSplit, validation: WalkForward
) -> Iterator[Fold]:
    closes, embargo = _closes(bars, data), embargo_bars(bars, data, split)
    settled = settled_at(rows, bars, embargo)
    shares = np.linspace(validation.train, 1.0, validation.folds + 1)
    edges = [*_quantiles(closes, shares[:-1]), int(closes[-1]) + 1]
    for number, (start, end) in enumerate(pairwise(edges), 1):
        since = shares[number - 1] - validation.train if validation.mode == "rolling" else 0.0
        begin = _quantiles(closes, [since])[0]
        learning = closes[(closes >= begin) & (closes < start)]
        middle = _quantiles(learning, [split.train / (split.train + split.validation)])[0]
        yield Fold(
            name=f"fold {number} of {validation.folds}",
            split=split_at(rows, settled, embargo, validation_from=middle, test_from=start, since=begin, until=end),
            test_ranges=((start, end),),
        )


def _combinatorial(
    rows: Rows, bars: Sequence[Bars], data: TrainingData, split: DataSplit, validation: Combinatorial, reach: int
) -> Iterator[Fold]:
    closes, embargo = _closes(bars, data), embargo_bars(bars, data, split)
    settled = settled_at(rows, bars, embargo)
    edges = [*_quantiles(closes, np.arange(validation.groups) / validation.groups), int(closes[-1]) + 1]
    groups = list(pairwise(edges))
    spoilt = [_near(rows, bars, settled, embargo, group, reach) for group in groups]
    for number, chosen in enumerate(combinations(range(validation.groups), validation.test_groups), 1):
        test = np.any([_inside(rows.decision, groups[group]) for group in chosen], axis=0)
        usable = ~np.any([spoilt[group] for group in chosen], axis=0)
        learning = closes[~np.any([_inside(closes, groups[group]) for group in chosen], axis=0)]
        middle = _quantiles(learning, [split.train / (split.train + split.validation)])[0]
        before = rows.decision < middle
        train, validating = before & usable & (settled < middle), ~before & usable
        yield Fold(
            name=f"split {number} of {validation.folds}",
            split=Split(
                train=rows.take(train),
                validation=rows.take(validating),
                test=rows.take(test),
                validation_from=middle,
                test_from=groups[chosen[0]][0],
                purged={
                    "train": int((before & ~test & ~train).sum()),
                    "validation": int((~before & ~test & ~validating).sum()),
                },
                embargo=dict(zip(rows.symbols, embargo, strict=True)),
            ),
            test_ranges=tuple(groups[group] for group in chosen),
        )


def _near(
    rows: Rows, bars: Sequence[Bars], settled: NDArray[np.int64], embargo: Sequence[int], group: Range, reach: int
) -> NDArray[np.bool_]:
    """The rows that a test of this group forbids to learn from: its own; those whose label, embargo included, was not
    settled before its first decision; and those behind the last bar at which a label of it was known that are within
    the embargo, or whose features reach back to it."""
    inside = _inside(rows.decision, group)
    if not inside.any():
        return inside
    first = int(rows.decision[inside].min())
    last = max(
        int(own.closes[rows.known_at[inside & (rows.symbol == index)]].max(initial=first))
        for index, own in enumerate(bars)
    )
    near = inside.copy()
    for index, (own, gap) in enumerate(zip(bars, embargo, strict=True)):
        behind = int(np.searchsorted(own.closes, last, side="right")) - 1 + max(gap, reach)
        clear = int(own.closes[min(max(behind, 0), len(own) - 1)])
        mine = rows.symbol == index
        near |= mine & (rows.decision <= clear) & (settled >= first)
    return near


def _closes(bars: Sequence[Bars], data: TrainingData) -> NDArray[np.int64]:
    """The decision times of all base bars in the range, in order."""
    return np.sort(np.concatenate([one.closes[in_range(one, data.start_date)] for one in bars]))


def _quantiles(ordered: NDArray[np.int64], shares: Sequence[float] | NDArray[np.float64]) -> list[int]:
    """The decision times at these shares of the bars."""
    if not len(ordered):
        raise NotEnoughData("a fold of training.validation has no bars to learn from: choose fewer folds")
    at = np.minimum(np.round(np.asarray(shares) * len(ordered)).astype(np.int64), len(ordered) - 1)
    return [int(stamp) for stamp in ordered[at]]


def _inside(stamps: NDArray[np.int64], group: Range) -> NDArray[np.bool_]:
    return (stamps >= group[0]) & (stamps < group[1])
