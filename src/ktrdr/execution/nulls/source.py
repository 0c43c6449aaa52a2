"""Bars of a null walk where a training expects the market's, and nothing where it leaves its model."""

from collections.abc import Sequence
from datetime import datetime

from ktrdr.contracts.models import ModelArtifact
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.market import BarSource
from ktrdr.execution.nulls.walk import coarser, null_walk


class WalkSource:
    """The BarSource of one walk: the bars of another source with a direction drawn by `key`.

    Of the timeframes that are asked for the finest one of each symbol walks, and the others are made of it.
    """

    def __init__(self, source: BarSource, timeframes: Sequence[str], key: int) -> None:
        self._source = source
        self._timeframes = tuple(timeframes)
        self._key = key
        self._walks: dict[str, dict[str, Bars]] = {}

    def load(self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int) -> Bars:
        """The same stretch of time for every timeframe of a symbol: that of the first call."""
        if symbol not in self._walks:
            self._walks[symbol] = self._walk(symbol, start, end, history)
        return self._walks[symbol][timeframe]

    def load_context(
        self, source: ContextSource, *, start: datetime | None, end: datetime | None, history: int
    ) -> Bars:
        """Bars of another symbol walk with the same signs; observations stay as they are."""
        bars = self._source.load_context(source, start=start, end=end, history=history)
        return bars if bars.observed else null_walk(bars, self._key)

    def _walk(self, symbol: str, start: datetime | None, end: datetime | None, history: int) -> dict[str, Bars]:
        bars = {
            name: self._source.load(symbol, name, start=start, end=end, history=history) for name in self._timeframes
        }
        finest = min(bars.values(), key=lambda one: one.timeframe)
        first = min(int(one.time[0]) for one in bars.values())
        fine = finest
        if first < finest.time[0]:  # bars of longer timeframes reach farther back
            fine = self._source.load(symbol, finest.timeframe.name, start=instant(first), end=end, history=0)
        walk = null_walk(fine, self._key)
        own = walk.rows(slice(len(fine) - len(finest), None))
        return {name: own if one is finest else coarser(one, fine, walk, self._key) for name, one in bars.items()}


class Nowhere:
    """A ModelSink that keeps nothing."""

    def save(self, artifact: ModelArtifact) -> str:
        return ""
