"""DataManager: the bars of a training or a prediction, from stored series, with the history before them."""

from datetime import datetime

from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant
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
        bars = self._reader.load(symbol, parse_timeframe(timeframe))
        asked = bars.span(start, end)
        if asked.start == asked.stop:
            raise self._nothing_there(bars, start, end)
        return self._checked(bars.rows(slice(max(0, asked.start - history), asked.stop)))

    def load_from(self, symbol: str, timeframe: str, first_us: int | None, end: datetime | None) -> Bars:
        """The bars from the open stamp `first_us` (microseconds UTC; None: the first stored) up to `end`."""
        bars = self._reader.load(symbol, parse_timeframe(timeframe))
        start = None if first_us is None else instant(first_us)
        asked = bars.span(start, end)
        if asked.start == asked.stop:
            raise self._nothing_there(bars, start, end)
        return self._checked(bars.rows(asked))

    def _nothing_there(self, bars: Bars, start: datetime | None, end: datetime | None) -> DataNotFound:
        asked = f"from {start:%Y-%m-%d %H:%M}" if start else "from the beginning"
        asked += f" to {end:%Y-%m-%d %H:%M}" if end else " on"
        stored = described_range(self._reader.facts(bars.symbol, bars.timeframe))
        return DataNotFound(
            f"there are no {bars.timeframe.name} bars of {bars.symbol} {asked}: stored are {stored};"
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
