"""Chronological splits with purge and embargo: no label of a part was settled inside the next one.

The two boundaries are dates, the same for all symbols, and follow from time stamps alone. (Were they quantiles of the
labelled rows, prices of the test range would move them: a zigzag's last leg has no labels.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import NotEnoughData
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.rows import NEVER, Rows, in_range
from ktrdr.execution.strategy.inputs import TrainingData
from ktrdr.execution.strategy.learning import DataSplit

FEWEST_EFFECTIVE_ROWS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The rows of each part, the boundaries (microseconds UTC), and how many rows were purged at each of them."""

    train: Rows
    validation: Rows
    test: Rows
    validation_from: int
    test_from: int
    purged: dict[str, int]
    embargo: dict[str, int]


def split_rows(rows: Rows, bars: Sequence[Bars], data: TrainingData, split: DataSplit) -> Split:
    """Train: decided and settled before T1. Validation: decided from T1, settled before T2. Test: decided from T2.

    Settled means: the bar at which the label was known, and the embargo's bars behind it, have closed.
    """
    closes = [one.closes[in_range(one, data.start_date)] for one in bars]
    first, second = boundaries(np.concatenate(closes), split)
    embargo = embargo_bars(bars, data, split)
    return split_at(rows, settled_at(rows, bars, embargo), embargo, validation_from=first, test_from=second)


def split_at(
    rows: Rows,
    settled: NDArray[np.int64],
    embargo: Sequence[int],
    *,
    validation_from: int,
    test_from: int,
    since: int = 0,
    until: int = NEVER,
) -> Split:
    """The split with these boundaries, of the rows decided in [since, until); `settled` is that of each row, the
    `embargo` that of each symbol."""
    first, second, decided = validation_from, test_from, rows.decision
    before, between = (decided >= since) & (decided < first), (decided >= first) & (decided < second)
    train, validation = before & (settled < first), between & (settled < second)
    return Split(
        train=rows.take(train),
        validation=rows.take(validation),
        test=rows.take((decided >= second) & (decided < until)),
        validation_from=first,
        test_from=second,
        purged={"train": int((before & ~train).sum()), "validation": int((between & ~validation).sum())},
        embargo=dict(zip(rows.symbols, embargo, strict=True)),
    )


def boundaries(closes: NDArray[np.int64], split: DataSplit) -> tuple[int, int]:
    """T1 and T2: the decision times at the shares `train` and `train + validation` of all bars in the range."""
    if len(closes) < 3:
        raise NotEnoughData(f"{len(closes)} bars cannot be split in three: import more bars or widen the dates")
    ordered = np.sort(closes)
    at = [min(round(share * len(ordered)), len(ordered) - 1) for share in (split.train, split.train + split.validation)]
    return int(ordered[at[0]]), int(ordered[at[1]])


def embargo_bars(bars: Sequence[Bars], data: TrainingData, split: DataSplit) -> list[int]:
    """The embargo of each symbol in its base bars: what the strategy says, or one in a hundred in the range."""
    if split.embargo is not None:
        return [split.embargo] * len(bars)
    return [int(in_range(one, data.start_date).sum()) // 100 for one in bars]


def settled_at(rows: Rows, bars: Sequence[Bars], embargo: Sequence[int]) -> NDArray[np.int64]:
    """The close of the bar `embargo` bars behind the one at which each label was known; NEVER past the last bar."""
    settled = np.full(len(rows), NEVER)
    for index, (own, gap) in enumerate(zip(bars, embargo, strict=True)):
        mine = np.flatnonzero(rows.symbol == index)
        behind = rows.known_at[mine] + gap
        there = behind < len(own)
        settled[mine[there]] = own.closes[behind[there]]
    return settled


def require_enough(split: Split, classes: Sequence[str]) -> None:
    """Raises NotEnoughData unless every part can be learnt from or judged by."""
    for name, rows in (("training", split.train), ("validation", split.validation), ("test", split.test)):
        effective = float(rows.uniqueness().sum())
        if effective < FEWEST_EFFECTIVE_ROWS:
            raise NotEnoughData(
                f"the {name} part has {len(rows)} rows worth {effective:.1f} independent labels, fewer than"
                f" {FEWEST_EFFECTIVE_ROWS}: import more bars, widen the dates, or choose labels that settle sooner"
            )
    present = np.unique(split.train.label)
    if len(present) < 2:
        only = classes[int(present[0])] if classes else f"{present[0]:g}"
        raise NotEnoughData(
            f"every training row is {only}: there is nothing to learn; change the labels' parameters or the dates"
        )
