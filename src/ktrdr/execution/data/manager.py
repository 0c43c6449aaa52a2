"""DataManager: the bars of a training or a prediction, from the store, with the history before them."""

from datetime import datetime

import numpy as np

from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.jumps import split_like_jumps
from ktrdr.execution.data.store import BarStore, described_range
from ktrdr.execution.data.timeframes import parse_timeframe


class DataManager:
    """Reads stored bars. Bars at or after an end are never among them."""

    def __init__(self, store: BarStore) -> None:
        self._store = store

    def load(self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int) -> Bars:
        """The bars of [start, end) and up to `history` bars before them.

        Raises DataNotFound when none is stored, DataRefused when a price jumps as at a split that was not adjusted.
        """
        bars = self._store.load(symbol, parse_timeframe(timeframe))
        first = 0 if start is None else int(np.searchsorted(bars.time, microseconds(start)))
        if first >= self._until(bars, end):
            self._nothing_there(bars, start, end)
        return self._checked(bars.rows(slice(max(0, first - history), self._until(bars, end))))

    def load_from(self, symbol: str, timeframe: str, first_us: int | None, end: datetime | None) -> Bars:
        """The bars from the open stamp `first_us` (microseconds UTC; None: the first stored) up to `end`."""
        bars = self._store.load(symbol, parse_timeframe(timeframe))
        first = 0 if first_us is None else int(np.searchsorted(bars.time, first_us))
        if first >= self._until(bars, end):
            self._nothing_there(bars, None if first_us is None else instant(first_us), end)
        return self._checked(bars.rows(slice(first, self._until(bars, end))))

    @staticmethod
    def _until(bars: Bars, end: datetime | None) -> int:
        return len(bars) if end is None else int(np.searchsorted(bars.time, microseconds(end)))

    def _nothing_there(self, bars: Bars, start: datetime | None, end: datetime | None) -> None:
        asked = f"from {start:%Y-%m-%d %H:%M}" if start else "from the beginning"
        asked += f" to {end:%Y-%m-%d %H:%M}" if end else " on"
        stored = described_range(self._store.facts(bars.symbol, bars.timeframe))
        raise DataNotFound(
            f"there are no {bars.timeframe.name} bars of {bars.symbol} {asked}: stored are {stored};"
            " choose other dates or import more bars"
        )

    def _checked(self, bars: Bars) -> Bars:
        jumps = split_like_jumps(bars)
        if not len(jumps) or self._store.facts(bars.symbol, bars.timeframe).jumps_accepted:
            return bars
        first = int(jumps[0])
        ratio, when = bars.open[first] / bars.close[first - 1], instant(bars.time[first])
        more = f" (and at {len(jumps) - 1} more)" if len(jumps) > 1 else ""
        raise DataRefused(
            f"{bars.symbol} {bars.timeframe.name} jumps by a factor of {ratio:.3g} at {when:%Y-%m-%d}"
            f"{more}, as at a share split: import adjusted bars, choose dates behind it, or import again with"
            " --accept-jumps if the jump is real"
        )
