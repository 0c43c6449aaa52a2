"""DataManager: the bars of a training or a prediction, from stored series, with the history before them."""

from datetime import datetime

import numpy as np

from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.context import ContextSource, derived, lagged
from ktrdr.execution.data.jumps import split_like_jumps
from ktrdr.execution.data.reader import BarReader, StoredSeries
from ktrdr.execution.data.store import described_range
from ktrdr.execution.data.timeframes import parse_timeframe


class DataManager:
    """Reads stored bars, and makes of them those of longer timeframes that are not stored. Bars at or after an end are
    never among them.

    Both ways to load raise DataNotFound when no bar is stored there, and DataRefused when a price jumps in the range as
    at a share split that was not adjusted (unless the import accepted it) or the stored file is damaged.
    """

    def __init__(self, store: StoredSeries) -> None:
        self._reader = BarReader(store)

    def load(self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int) -> Bars:
        """The bars of [start, end), by open stamp, and up to `history` bars before them, where stored."""
        bars = self._bars(symbol, timeframe)
        asked = bars.span(start, end)
        if asked.start == asked.stop:
            raise self._nothing_there(bars, start, end)
        return self._checked(bars.rows(slice(max(0, asked.start - history), asked.stop)))

    def load_from(self, symbol: str, timeframe: str, first_us: int | None, end: datetime | None) -> Bars:
        """The bars from the open stamp `first_us` (microseconds UTC; None: the first stored) up to `end`."""
        bars = self._bars(symbol, timeframe)
        start = None if first_us is None else instant(first_us)
        asked = bars.span(start, end)
        if asked.start == asked.stop:
            raise self._nothing_there(bars, start, end)
        return self._checked(bars.rows(asked))

    def _bars(self, symbol: str, timeframe: str) -> Bars:
        bars = self._reader.load(symbol, parse_timeframe(timeframe))
        if bars.observed:
            raise DataRefused(
                f"{symbol} is a series of observations, no bars: let an indicator read it, with context_data and"
                " data_source"
            )
        return bars

    def load_context(
        self, source: ContextSource, *, start: datetime | None, end: datetime | None, history: int
    ) -> Bars:
        """Another series: bars as `load` gives them, or the observations that count in [start, end), those that became
        known in it and the one that stands at its start, and up to `history` before them."""
        if source.symbol is not None:
            return self.load(source.symbol, source.timeframe or "", start=start, end=end, history=history)
        bars = self._observations(source)
        asked = self._known(bars, start, end)
        first = bars.time[max(0, asked.start - history)]  # of those known at one moment all are taken
        return bars.rows(slice(int(np.searchsorted(bars.time, first)), asked.stop))

    def load_context_from(self, source: ContextSource, first_us: int | None, end: datetime | None) -> Bars:
        """The same from the stamp `first_us` on."""
        if source.symbol is not None:
            return self.load_from(source.symbol, source.timeframe or "", first_us, end)
        bars = self._observations(source)
        first = 0 if first_us is None else int(np.searchsorted(bars.time, first_us))
        return bars.rows(slice(first, self._known(bars, None, end).stop))

    def _observations(self, source: ContextSource) -> Bars:
        stored = [self._reader.observations(name) for name in source.series]
        return derived(source, [lagged(bars, facts.lag, source.lag) for bars, facts in stored])

    def _known(self, bars: Bars, start: datetime | None, end: datetime | None) -> slice:
        """Where the observations lie that count in [start, end): those known in it, and the one that stands at its
        start."""
        asked = bars.span(start, end)
        first = max(0, asked.start - 1) if start else 0
        standing = asked.start < asked.stop or (
            start is not None and first < asked.stop and microseconds(start) - bars.time[first] <= bars.valid_for
        )
        if standing:
            return slice(first, asked.stop)
        stored = f"from {instant(bars.time[0]):%Y-%m-%d} to {instant(bars.time[-1]):%Y-%m-%d}" if len(bars) else "never"
        raise DataNotFound(
            f"no value of {bars.symbol} was known {_described(start, end)}: those stored were known {stored};"
            " choose other dates or import more"
        )

    def _nothing_there(self, bars: Bars, start: datetime | None, end: datetime | None) -> DataNotFound:
        stored = described_range(self._reader.facts(bars.symbol, bars.timeframe))
        return DataNotFound(
            f"there are no {bars.timeframe.name} bars of {bars.symbol} {_described(start, end)}: stored are {stored};"
            " choose other dates or import more bars"
        )

    def _checked(self, bars: Bars) -> Bars:
        jumps = split_like_jumps(bars)
        if not len(jumps) or self._reader.facts(bars.symbol, bars.timeframe).jumps_accepted:
            return bars
        first = int(jumps[0])
        ratio, when = bars.open[first] / bars.close[first - 1], instant(bars.time[first])
        more = f" (and at {len(jumps) - 1} more)" if len(jumps) > 1 else ""
        raise DataRefused(
            f"{bars.symbol} {bars.timeframe.name} jumps by a factor of {ratio:.3g} at {when:%Y-%m-%d}"
            f"{more}, as at a share split: import adjusted bars, choose dates behind it, or import again with"
            " --accept-jumps if the jump is real"
        )


def _described(start: datetime | None, end: datetime | None) -> str:
    asked = f"from {start:%Y-%m-%d %H:%M}" if start else "from the beginning"
    return asked + (f" to {end:%Y-%m-%d %H:%M}" if end else " on")
