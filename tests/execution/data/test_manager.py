"""DataManager: exactly the bars asked for, never one at or after the end, and none that would teach a split."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import changed, random_bars

from ktrdr.errors import DataNotFound, DataRefused, InvalidRequest
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.resampling import resampled
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.data.timeframes import parse_timeframe

COUNT = 200
START = instant(random_bars(1, COUNT).time[0])


def stored(folder: Path, bars: Bars, **known: object) -> DataManager:
    store = BarStore(folder)
    store.save(bars, facts_of(bars, source="a.csv", source_sha256="", imported_at="", **known))
    return DataManager(store)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> DataManager:
    return stored(tmp_path_factory.mktemp("bars"), random_bars(1, COUNT))


@settings(max_examples=60)
@given(st.none() | st.integers(-10, 210), st.none() | st.integers(-10, 210), st.integers(0, 300))
def test_the_range_and_its_history(manager: DataManager, first: int | None, last: int | None, history: int) -> None:
    start = None if first is None else START + timedelta(hours=first, minutes=-1)
    end = None if last is None else START + timedelta(hours=last)
    whole = random_bars(1, COUNT).time
    asked = whole[(whole >= (microseconds(start) if start else 0)) & (whole < (microseconds(end) if end else 2**62))]
    if not len(asked):
        with pytest.raises(DataNotFound, match="choose other dates or import more"):
            manager.load("TEST", "1h", start=start, end=end, history=history)
        return
    bars = manager.load("TEST", "1H", start=start, end=end, history=history)
    before = int(np.searchsorted(whole, asked[0]))
    assert bars.time.tolist() == [*whole[max(0, before - history) : before].tolist(), *asked.tolist()]


def test_from_a_stamp_on(manager: DataManager) -> None:
    whole = random_bars(1, COUNT).time
    end = START + timedelta(hours=150)
    assert manager.load_from("TEST", "1h", int(whole[20]), end).time.tolist() == whole[20:150].tolist()
    assert len(manager.load_from("TEST", "1h", None, None)) == COUNT
    with pytest.raises(DataNotFound, match="stored are"):
        manager.load_from("TEST", "1h", int(whole[-1]) + 1, None)


def test_what_is_missing_is_named(manager: DataManager) -> None:
    with pytest.raises(DataNotFound, match=r"no 5m bars of TEST.*stored: TEST 1h.*ktrdr data import"):
        manager.load("TEST", "5m", start=None, end=None, history=0)
    with pytest.raises(DataNotFound, match="from 2030-01-01 00:00 on: stored are 2017-01-01 00:00 to 2017-01-09 07:00"):
        manager.load("TEST", "1h", start=datetime(2030, 1, 1, tzinfo=UTC), end=None, history=0)
    with pytest.raises(InvalidRequest, match="not a timeframe"):
        manager.load("TEST", "hourly!", start=None, end=None, history=0)


class TestSplits:
    """A jump like a split at bar 120."""

    @staticmethod
    def split() -> Bars:
        bars = random_bars(1, COUNT)
        after = slice(120, None)
        return changed(
            bars, after, **{name: getattr(bars, name)[after] / 4 for name in ("open", "high", "low", "close")}
        )

    def test_a_range_with_one_is_refused(self, tmp_path: Path) -> None:
        manager = stored(tmp_path, self.split())
        for load in (
            lambda: manager.load("TEST", "1h", start=None, end=None, history=0),
            lambda: manager.load("TEST", "1h", start=START + timedelta(hours=121), end=None, history=5),
            lambda: manager.load_from("TEST", "1h", None, None),
        ):
            with pytest.raises(DataRefused, match=r"factor of 0.25 at 2017-01-06, as at a share split.*--accept-jumps"):
                load()

    def test_a_range_without_it_is_not(self, tmp_path: Path) -> None:
        manager = stored(tmp_path, self.split())
        behind, before = START + timedelta(hours=120), START + timedelta(hours=120)
        assert len(manager.load("TEST", "1h", start=behind, end=None, history=0)) == 80
        assert len(manager.load("TEST", "1h", start=None, end=before, history=0)) == 120

    def test_one_that_was_accepted_is_not(self, tmp_path: Path) -> None:
        manager = stored(tmp_path, self.split(), jumps_accepted=True)
        assert len(manager.load("TEST", "1h", start=None, end=None, history=0)) == COUNT


class TestResampling:
    """What is not stored is made of the finest stored timeframe that divides it."""

    @staticmethod
    def of(folder: Path, *bars: Bars) -> DataManager:
        store = BarStore(folder)
        for one in bars:
            store.save(one, facts_of(one, source="a.csv", source_sha256="", imported_at=""))
        return DataManager(store)

    def test_of_the_finest_that_divides(self, tmp_path: Path) -> None:
        """Not of 45 minutes, which make no hours, nor of the hours that are there too."""
        quarters, odd, hourly = (
            random_bars(seed, 900, timeframe=name) for seed, name in enumerate(("15m", "45m", "1h"))
        )
        manager = self.of(tmp_path, quarters, odd, hourly)
        made = manager.load("TEST", "4h", start=None, end=None, history=0)
        assert made.digest() == resampled(quarters, made.timeframe).digest()
        assert manager.load("TEST", "1h", start=None, end=None, history=0).digest() == hourly.digest()

    def test_it_equals_the_stored_one(self, tmp_path: Path) -> None:
        """A range with history, and one from a stamp on, of the days that somebody else has made of the same hours."""
        hourly = random_bars(4, 24 * 60)
        daily = resampled(hourly, parse_timeframe("1d"))
        both, one = self.of(tmp_path / "both", hourly, daily), self.of(tmp_path / "one", hourly)
        start, end = instant(int(daily.time[20])), instant(int(daily.time[40])) + timedelta(hours=5)
        for load in (
            lambda manager: manager.load("TEST", "1d", start=start, end=end, history=7),
            lambda manager: manager.load("TEST", "1d", start=None, end=None, history=7),
            lambda manager: manager.load_from("TEST", "1d", int(daily.time[11]), end),
        ):
            assert load(one).digest() == load(both).digest()
            assert (load(one).resampling is None, load(both).resampling is None) == (False, True)

    def test_shorter_ones_cannot_be_made(self, manager: DataManager) -> None:
        with pytest.raises(
            DataNotFound, match=r"no 5m bars of TEST.*stored: TEST 1h.*--timeframe 5m`; they cannot be made of 1h"
        ):
            manager.load("TEST", "5m", start=None, end=None, history=0)

    def test_too_few_bars_fill_none(self, tmp_path: Path) -> None:
        with pytest.raises(DataNotFound, match="the 1h bars of TEST that are stored fill no 1M bar"):
            self.of(tmp_path, random_bars(1, 50)).load("TEST", "1M", start=None, end=None, history=0)

    def test_a_split_of_the_stored_bars_counts(self, tmp_path: Path) -> None:
        manager = stored(tmp_path / "a", TestSplits.split())
        with pytest.raises(DataRefused, match=r"TEST 4h jumps by a factor of 0\.25"):
            manager.load("TEST", "4h", start=None, end=None, history=0)
        accepted = stored(tmp_path / "b", TestSplits.split(), jumps_accepted=True)
        assert len(accepted.load("TEST", "4h", start=None, end=None, history=0)) == 50
