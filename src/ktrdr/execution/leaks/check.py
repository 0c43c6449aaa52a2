"""Looks for inputs and labels that know what had not happened yet, and for inputs that their history has not settled.

At sampled moments the inputs are computed anew on bars cut there, and on bars with another future behind it: a value of
an earlier row that changes is a leak. They are computed anew, too, on no more history than a training promises its
first row: a value that is another one then was not settled, which is a warm-up error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ktrdr.contracts.leaks import InputVerdict, LeakVerdict
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.builder import FeatureBuilder, FeatureMatrix, Series
from ktrdr.execution.labels.base import NULL, Labeler, Labels
from ktrdr.execution.leaks.comparison import NOISE, compared
from ktrdr.execution.leaks.findings import Findings, Tally
from ktrdr.execution.leaks.futures import around, closed_by, last, until, with_another_future
from ktrdr.execution.market import Market
from ktrdr.execution.rows import in_range
from ktrdr.execution.seeds import numpy_generator
from ktrdr.execution.strategy.inputs import TrainingData

SETTLED = 0.01
"""A value may differ by this share of its input's spread and still count as settled."""
TRIES = 5
"""How often the history is doubled in search of one that settles an input."""
LABELS = "labels"
QUICK_CUTS = 6
NEAR = 250
"""Bars, beyond the lookback, on either side of a cut that is not looked at on all bars."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cut:
    """A moment, the close of a base bar, of one symbol; `spread` is that of each input. Looked at on the bars around
    it, or on the `whole` series."""

    series: Series
    matrix: FeatureMatrix
    row: int
    spread: NDArray[np.float64]
    whole: bool

    @property
    def moment(self) -> int:
        return int(self.series.base.closes[self.row])


class LeakCheck:
    """Checks the features and the labels of one strategy. Same seed, same moments."""

    def __init__(self, features: FeatureBuilder, labeler: Labeler, data: TrainingData, seed: int) -> None:
        self._features = features
        self._labeler = labeler
        self._data = data
        self._seed = seed
        self._lookbacks = {data.timeframes.base: 0} | features.lookbacks()

    def quick(self, market: Market, matrices: Sequence[FeatureMatrix]) -> Findings:
        """At a few moments and on the bars around them: a matter of milliseconds, however many bars there are.

        What goes unseen is a look at a future that is farther away than that.
        """
        return self._run(market, matrices, max(1, QUICK_CUTS // len(market.series)), quick=True)

    def run(self, market: Market, matrices: Sequence[FeatureMatrix], *, cuts: int) -> Findings:
        """At `cuts` moments of each symbol, at one of them on all its bars; `matrices` are the features of the bars as
        they are. Warm-up errors come with a history that would be enough."""
        return self._run(market, matrices, cuts, quick=False)

    def _run(self, market: Market, matrices: Sequence[FeatureMatrix], cuts: int, *, quick: bool) -> Findings:
        generator = numpy_generator(self._seed, "leak_check")
        inputs = Tally([(column.name, column.timeframe) for column in self._features.columns])
        labels = Tally([(LABELS, self._data.timeframes.base)])
        taken = list(self._cuts(market, matrices, cuts, generator, quick=quick))
        for cut in taken:
            shown, known = cut.series, cut.matrix.values
            if not cut.whole:
                shown = around(shown, cut.moment, {name: bars + NEAR for name, bars in self._lookbacks.items()})
                known = self._features.build(shown).values
            futures = until(shown, cut.moment), with_another_future(shown, cut.moment, generator)
            self._look(inputs, cut, known, futures)
            self._look_at_labels(labels, cut, shown.base, futures)
            self._settle(inputs, cut, self._data.history_required)
        verdicts = inputs.verdicts if quick else self._with_cure(inputs.verdicts, taken)
        return Findings(inputs=verdicts, labels=labels.verdicts[0], cuts=len(taken))

    def _cuts(
        self,
        market: Market,
        matrices: Sequence[FeatureMatrix],
        count: int,
        generator: np.random.Generator,
        *,
        quick: bool,
    ) -> Iterable[_Cut]:
        """Moments at rows that a training may use: one at random of each of so many stretches of time."""
        for series, matrix in zip(market.series, matrices, strict=True):
            usable = in_range(series.base, self._data.start_date) & matrix.defined
            rows = np.flatnonzero(usable & (matrix.history >= self._data.history_required))
            read = replace(series, bars={name: series.bars[name] for name in self._lookbacks})
            spread = self._spread(matrix)
            stretches = np.array_split(rows, min(count, len(rows)) or 1)
            for number, stretch in enumerate(stretches):
                if len(stretch):
                    row, middle = int(generator.choice(stretch)), number == len(stretches) // 2
                    yield _Cut(series=read, matrix=matrix, row=row, spread=spread, whole=middle and not quick)

    def _spread(self, matrix: FeatureMatrix) -> NDArray[np.float64]:
        """1 for memberships, the standard deviation for raw inputs."""
        values, defined = matrix.values, matrix.defined
        spread = [
            1.0 if column.membership is not None else float(values[defined, index].std(dtype=np.float64))
            for index, column in enumerate(self._features.columns)
        ]
        return np.array([one if one > 0 else 1.0 for one in spread])

    def _look(self, tally: Tally, cut: _Cut, known: NDArray[np.float32], futures: Iterable[Series]) -> None:
        """The inputs of every row up to the cut, whatever comes behind it."""
        for future in futures:
            again = self._features.build(future).values
            rows = closed_by(future.base, cut.moment)
            difference, found = compared(known[:rows], again[:rows], cut.spread, NOISE)
            tally.note(LeakVerdict.LEAK, found, difference, symbol=cut.series.symbol, moment=cut.moment)

    def _look_at_labels(self, tally: Tally, cut: _Cut, bars: Bars, futures: Sequence[Series]) -> None:
        """A cut keeps the labels that were known by then and nulls the rest; another future changes none of them."""
        count = closed_by(bars, cut.moment)
        whole, short, other = (self._labeler.label(one) for one in (bars, *(future.base for future in futures)))
        kept = (whole.known_at[:count] != NULL) & (whole.known_at[:count] < count)
        nulled = (short.known_at[~kept] == NULL).all()
        honest = nulled and _same(whole, short, kept) and _same(whole, other, kept)
        difference = np.array([0.0 if honest else np.nan])
        symbol = cut.series.symbol
        tally.note(LeakVerdict.LEAK, np.isnan(difference), difference, symbol=symbol, moment=cut.moment)

    def _settle(self, tally: Tally, cut: _Cut, history: int) -> None:
        """The inputs at the cut, from no more bars than a first row is promised, or needs to be defined."""
        counts = {name: max(history, lookback) + 1 for name, lookback in self._lookbacks.items()}
        late = self._features.build(last(cut.series, cut.moment, counts)).values[-1:]
        difference, found = compared(cut.matrix.values[cut.row : cut.row + 1], late, cut.spread, SETTLED)
        there = np.isfinite(late[0])  # an undefined one would be dropped, not learnt from
        symbol = cut.series.symbol
        tally.note(
            LeakVerdict.WARM_UP_ERROR,
            found & there,
            np.where(there, difference, 0.0),
            symbol=symbol,
            moment=cut.moment,
        )

    def _with_cure(self, verdicts: Sequence[InputVerdict], cuts: Sequence[_Cut]) -> tuple[InputVerdict, ...]:
        """The same, saying of each warm-up error how much history would settle its input, as far as there is some."""
        ill = {one.name for one in verdicts if one.verdict is LeakVerdict.WARM_UP_ERROR}
        cures: dict[str, int] = {}
        first = max(self._data.history_required, *self._lookbacks.values(), 1)
        for history in (first * 2**power for power in range(1, TRIES + 1)):
            able = [cut for cut in cuts if cut.matrix.history[cut.row] > history]
            if not able or not ill:
                break
            again = Tally([(column.name, column.timeframe) for column in self._features.columns])
            for cut in able:
                self._settle(again, cut, history)
            settled = {one.name for one in again.verdicts if one.verdict is LeakVerdict.PASS} & ill
            cures |= dict.fromkeys(settled, history)
            ill -= settled
        return tuple(one.model_copy(update={"enough_history": cures.get(one.name)}) for one in verdicts)


def _same(whole: Labels, other: Labels, kept: NDArray[np.bool_]) -> bool:
    """Whether the labels that were known are equal, and so are the events up to the cut."""
    return all(
        (getattr(whole, name)[: len(kept)] == getattr(other, name)[: len(kept)])[which].all()
        for name, which in (("label", kept), ("known_at", kept), ("event", np.ones(len(kept), dtype=np.bool_)))
    )
