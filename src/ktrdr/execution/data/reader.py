"""BarReader: a series as it is stored, or made of the finest stored one that divides it."""

from typing import Protocol

from ktrdr.errors import DataNotFound
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.resampling import divides, resampled
from ktrdr.execution.data.store import SeriesFacts
from ktrdr.execution.data.timeframes import SECOND, Timeframe


class StoredSeries(Protocol):
    """Series as they were imported: a BarStore, or the bars that a training was sent."""

    def timeframes(self, symbol: str) -> list[Timeframe]:
        """Those stored of a symbol, the shortest first."""

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        """All bars. Raises DataNotFound with the series that are there."""

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts: ...


class BarReader:
    """Reads series of any timeframe. Raises DataNotFound when one is neither stored nor can be made of a stored one."""

    def __init__(self, store: StoredSeries) -> None:
        self._store = store

    def source(self, symbol: str, timeframe: Timeframe) -> Timeframe:
        """The timeframe whose stored bars are read: itself, or the finest one that divides it."""
        stored = self._store.timeframes(symbol)
        if timeframe in stored:
            return timeframe
        return next((one for one in stored if divides(one, timeframe)), timeframe)

    def observations(self, name: str) -> tuple[Bars, SeriesFacts]:
        """The series of observations of that name, as it was stored. Raises DataNotFound with the way to import it."""
        for timeframe in self._store.timeframes(name):
            bars = self._store.load(name, timeframe)
            if bars.observed:
                return bars, self._store.facts(name, timeframe)
        raise DataNotFound(f"there is no series {name}: {how_to_import(name)}")

    def farther_back(self, symbol: str, timeframe: Timeframe) -> Timeframe | None:
        """Of the stored timeframes that a series could be made of, one that begins before the one it is made of."""
        source = self.source(symbol, timeframe)
        first = self._store.facts(symbol, source).first
        others = (
            [one for one in self._store.timeframes(symbol) if divides(one, timeframe)] if source != timeframe else []
        )
        earlier = {one: self._store.facts(symbol, one).first for one in others}
        before = [one for one, start in earlier.items() if start < first - timeframe.length * SECOND]
        return min(before, key=lambda one: earlier[one], default=None)

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts:
        """What is known of the stored series that is read."""
        return self._store.facts(symbol, self.source(symbol, timeframe))

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        """All bars of the series. Raises DataRefused when the stored ones are damaged, or none can be made of them."""
        source = self.source(symbol, timeframe)
        try:
            bars = self._store.load(symbol, source)
        except DataNotFound as error:
            others = ", ".join(one.name for one in self._store.timeframes(symbol))
            raise DataNotFound(f"{error}; they cannot be made of {others}" if others else str(error)) from None
        if source == timeframe:
            return bars
        if bars.observed:
            raise DataNotFound(f"{symbol} is a series of observations of {source.name}, there are no others to be made")
        made = resampled(bars, timeframe)
        if not len(made):
            raise DataNotFound(
                f"the {source.name} bars of {symbol} that are stored fill no {timeframe.name} bar: import more of them"
            )
        return made


def how_to_import(name: str) -> str:
    """The command that imports a series of observations, as it would be typed."""
    command = f"`ktrdr data import-series FILE --name {name}"
    if name.startswith("cot_"):
        return f"import the net positions with {command}` (those of a Tuesday are known on Friday)"
    more = f" (FRED has it as {name.removeprefix('fred_')})" if name.startswith("fred_") else ""
    return f"import it{more} with {command} --lag 1d`, the lag being how long after its period a value is published"
