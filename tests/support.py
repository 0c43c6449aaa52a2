"""What tests share: bars made by hand or by chance, and the bundled real ones."""

from pathlib import Path

import numpy as np

from ktrdr.errors import DataNotFound
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.store import SeriesFacts, facts_of
from ktrdr.execution.data.timeframes import OBSERVED, Timeframe, parse_timeframe

ROOT = Path(__file__).parents[1]
HOUR = 3_600_000_000


def bars_of(
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    *,
    symbol: str = "TEST",
    timeframe: str = "1h",
    start: int = 1_483_228_800_000_000,
) -> Bars:
    """Bars without gaps from columns, on a market that never closes."""
    length = parse_timeframe(timeframe)
    columns = [np.ascontiguousarray(column, dtype=np.float64) for column in (open_, high, low, close)]
    time = start + np.arange(len(close), dtype=np.int64) * int(length.seconds or 0) * 1_000_000
    volume = np.full(len(close), 100.0)
    return Bars(symbol, length, "24/7", time, *columns, volume)


def random_bars(seed: int, count: int, *, step: float = 0.005, symbol: str = "TEST", timeframe: str = "1h") -> Bars:
    """A walk with consistent open, high, low and close; opens gap a little."""
    generator = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0, step, count)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(generator.normal(0, step / 4, count)) if count else close
    spread = np.exp(np.abs(generator.normal(0, step, (2, count))))
    high, low = np.maximum(open_, close) * spread[0], np.minimum(open_, close) / spread[1]
    return bars_of(open_, high, low, close, symbol=symbol, timeframe=timeframe)


def changed(bars: Bars, which: slice, **columns: object) -> Bars:
    """The same bars with some values replaced in a slice."""
    kept = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name, values in columns.items():
        kept[name][which] = values
    return Bars(bars.symbol, bars.timeframe, bars.calendar, bars.time, *kept.values())


def cut(bars: Bars, count: int) -> Bars:
    """The first `count` bars."""
    arrays = (getattr(bars, name)[:count] for name in ("time", "open", "high", "low", "close", "volume"))
    return Bars(bars.symbol, bars.timeframe, bars.calendar, *arrays)


class Memory:
    """Stored series at hand, for a DataManager; jumps in them are real."""

    def __init__(self, *series: Bars, lag: str = "1d") -> None:
        self.series = {(one.symbol, one.timeframe): one for one in series}
        self.lag = lag

    def timeframes(self, symbol: str) -> list[Timeframe]:
        return sorted(timeframe for name, timeframe in self.series if name == symbol)

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        if (symbol, timeframe) not in self.series:
            raise DataNotFound(f"there are no {timeframe.name} bars of {symbol}")
        return self.series[symbol, timeframe]

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts:
        bars = self.load(symbol, timeframe)
        known = {"source": "-", "source_sha256": "", "imported_at": "", "jumps_accepted": True}
        return facts_of(bars, **known, lag=self.lag if bars.observed else None)


def observations(
    name: str, seed: int, count: int, *, every: str = "1d", start: int = 1_483_228_800_000_000, step: int = 24 * HOUR
) -> Bars:
    """Values that became known one after the other, `step` microseconds apart and a little late."""
    generator = np.random.default_rng(seed)
    time = start + np.arange(count) * step + generator.integers(0, step // 3, count)
    value = np.cumsum(generator.normal(0, 0.1, count)) + 2.0
    return Bars(name, parse_timeframe(every), OBSERVED, time, value, value, value, value, np.zeros(count))
