"""A walk where a training expects bars: every timeframe of one walk, the stretch of time that was asked for."""

from datetime import datetime

import numpy as np
from tests.support import Memory, observations, random_bars

from ktrdr.execution.data.bars import PRICES, Bars, instant
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.resampling import resampled
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.nulls.source import WalkSource
from ktrdr.execution.nulls.walk import null_walk

HOURS = {symbol: random_bars(number, 24 * 60, symbol=symbol) for number, symbol in enumerate(("ONE", "TWO"))}


class Archive:
    """Hours of two symbols and their days, as the data manager serves them."""

    def __init__(self) -> None:
        self.days = {symbol: resampled(bars, parse_timeframe("1d")) for symbol, bars in HOURS.items()}

    def load(self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int) -> Bars:
        bars = {"1h": HOURS, "1d": self.days}[timeframe][symbol]
        asked = bars.span(start, end)
        return bars.rows(slice(max(0, asked.start - history), asked.stop))


START, END = (instant(HOURS["ONE"].time[24 * day]) for day in (30, 50))
ASKED = {"start": START, "end": END, "history": 10}


def walk_of(key: int, symbol: str = "ONE", order: tuple[str, ...] = ("1h", "1d")) -> dict[str, Bars]:
    source = WalkSource(Archive(), ("1h", "1d"), key)
    return {name: source.load(symbol, name, **ASKED) for name in order}


def test_the_bars_are_those_that_were_asked_for() -> None:
    """With as much history of each timeframe as the market's own have."""
    walk = walk_of(1)
    for name, bars in walk.items():
        real = Archive().load("ONE", name, **ASKED)
        assert bars.time.tolist() == real.time.tolist()
        assert (bars.close != real.close).any()


def test_the_days_are_those_of_the_hours() -> None:
    """Also where they reach back behind the first hour that was asked for."""
    walk, history = walk_of(2), HOURS["ONE"].between(instant(HOURS["ONE"].time[24 * 20]), END)
    days = resampled(null_walk(history, 2), parse_timeframe("1d"))
    assert len(walk["1d"]) == 30
    for name in PRICES:
        np.testing.assert_allclose(getattr(walk["1d"], name), getattr(days, name))
    inside = walk["1h"].time >= walk["1d"].time[11]
    first = walk["1h"].rows(slice(int(inside.argmax()), int(inside.argmax()) + 24))
    assert first.high.max() == walk["1d"].high[11]


def test_it_does_not_matter_what_is_loaded_first() -> None:
    for name, bars in walk_of(3, order=("1d", "1h")).items():
        np.testing.assert_array_equal(bars.close, walk_of(3)[name].close)


def test_each_key_is_another_walk_and_symbols_share_it() -> None:
    """Whether an hour is mirrored is the same for both symbols."""
    one, other = walk_of(4), walk_of(5)
    assert (one["1h"].close != other["1h"].close).any()
    source, mirrored = WalkSource(Archive(), ("1h",), 4), []
    for symbol in ("ONE", "TWO"):
        walk, real = source.load(symbol, "1h", **ASKED), Archive().load(symbol, "1h", **ASKED)
        mirrored.append(np.sign(walk.close - walk.open) != np.sign(real.close - real.open))
    np.testing.assert_array_equal(*mirrored)


def test_other_series_stay_and_other_symbols_walk_along() -> None:
    """Values are no prices; bars of another symbol are mirrored with those of the symbol."""
    vix, pound = observations("vix", 1, 60), random_bars(9, 24 * 60, symbol="GBPUSD")
    walks = WalkSource(DataManager(Memory(HOURS["ONE"], pound, vix)), ("1h",), 4)
    everything = {"start": None, "end": None, "history": 0}
    assert walks.load_context(ContextSource(name="vix", series=("vix",)), **everything).digest() == vix.digest()
    other = walks.load_context(ContextSource(name="GBPUSD", symbol="GBPUSD", timeframe="1h"), **everything)
    own = walks.load("ONE", "1h", **everything)
    flipped = [
        np.sign(walk.close - walk.open) != np.sign(real.close - real.open)
        for walk, real in ((other, pound), (own, HOURS["ONE"]))
    ]
    np.testing.assert_array_equal(*flipped)
