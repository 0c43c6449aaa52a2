"""The market data of a training: every series that its strategy names, and what proves which bytes they were."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.data.resampling import resampling_notice
from ktrdr.execution.features.builder import Series
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.logs import get_logger

_log = get_logger("market")


class BarSource(Protocol):
    """Where bars come from: `DataManager`, or a test's own."""

    def load(
        self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int
    ) -> Bars: ...

    def load_context(
        self, source: ContextSource, *, start: datetime | None, end: datetime | None, history: int
    ) -> Bars: ...


@dataclass(frozen=True, kw_only=True)
class Market:
    """The series of each symbol, in the strategy's order."""

    series: tuple[Series, ...]

    @property
    def bases(self) -> list[Bars]:
        return [one.base for one in self.series]

    def digest(self) -> str:
        """The sha256 over the digests of all series."""
        digests = [bars.digest() for one in self.series for bars in one.bars.values()]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def firsts(self) -> dict[str, dict[str, int]]:
        """The open stamp of each series' first bar, microseconds UTC."""
        return {one.symbol: {name: int(bars.time[0]) for name, bars in one.bars.items()} for one in self.series}

    def lasts(self) -> dict[str, dict[str, int]]:
        """The open stamp of each series' last bar, microseconds UTC."""
        return {one.symbol: {name: int(bars.time[-1]) for name, bars in one.bars.items()} for one in self.series}

    @property
    def named(self) -> dict[str, Bars]:
        """Every series once, by what a reader calls it."""
        every = [bars for one in self.series for bars in one.bars.values()]
        return {bars.symbol if bars.observed else f"{bars.symbol} {bars.timeframe.name}": bars for bars in every}

    def resampled(self) -> dict[str, str]:
        """Of each series that is not stored, the timeframe that it was made of."""
        return {name: bars.resampling.source for name, bars in self.named.items() if bars.resampling is not None}

    def notices(self) -> list[str]:
        """What a reader should know of the series."""
        said = (resampling_notice(bars) for bars in self.named.values())
        return [notice for notice in said if notice]

    def counts(self) -> dict[str, int]:
        """Bars of each series."""
        return {name: len(bars) for name, bars in self.named.items()}


def load_market(source: BarSource, strategy: Strategy) -> Market:
    """The bars of [start_date, end_date) and the history before them, for every symbol and timeframe, and the other
    series that inputs read."""
    data, series = strategy.training_data, []
    span: dict[str, Any] = {"start": data.start_date, "end": data.end_date, "history": data.history_required}
    context = {one.name: source.load_context(one, **span) for one in strategy.sources()}
    for symbol in strategy.symbols:
        bars = {name: source.load(symbol, name, **span) for name in strategy.timeframes} | context
        series.append(Series(symbol=symbol, base_timeframe=strategy.base_timeframe, bars=bars))
        _log.debug("bars loaded", symbol=symbol, **{name: len(one) for name, one in bars.items()})
    return Market(series=tuple(series))


def market_of(symbols: Sequence[str], base_timeframe: str, bars: Mapping[str, Mapping[str, Bars]]) -> Market:
    """A market from bars at hand, by symbol and timeframe or source."""
    return Market(series=tuple(Series(symbol=name, base_timeframe=base_timeframe, bars=bars[name]) for name in symbols))
