"""Other series for indicators: derived of what was known, cut by when it was, and never out of date."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import HOUR, random_bars

from ktrdr.contracts.bars import SeriesImport, SeriesWanted
from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.errors import Conflict, DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.context import ContextSource, percentile, spread
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.pins import BarPins
from ktrdr.execution.data.repository import StoredBars
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.data.timeframes import parse_timeframe

DAY = 24 * HOUR
START = 1_500_000_000_000_000 // DAY * DAY


def observed(name: str, days: list[int], values: list[float] | None = None, *, every: str = "1d") -> Bars:
    """Values that became known on those days."""
    time = START + np.array(days, dtype=np.int64) * DAY
    numbers = np.array(values if values is not None else np.arange(len(days)), dtype=np.float64)
    return Bars(name, parse_timeframe(every), "observed", time, *[numbers] * 4, np.zeros(len(days)))


def days_of(bars: Bars) -> list[int]:
    return ((bars.time - START) // DAY).tolist()


def keep(store: BarStore, *series: Bars, **known: Any) -> BarStore:
    for bars in series:
        said = {"lag": "1d"} if bars.observed else {}
        store.save(bars, facts_of(bars, source="-", source_sha256="", imported_at="", **(said | known)))
    return store


def slow_spread(left: Bars, right: Bars) -> list[tuple[int, float]]:
    """Day by day: whenever one of the two becomes known, the newest of each, unless one is out of date."""
    found = []
    for moment in sorted({*left.time.tolist(), *right.time.tolist()}):
        newest = []
        for part in (left, right):
            there = [row for row, one in enumerate(part.time) if one <= moment]
            if there and moment - part.time[there[-1]] <= part.valid_for:
                newest.append(float(part.close[there[-1]]))
        if len(newest) == 2:
            found.append((moment, newest[0] - newest[1]))
    return found


DAYS = st.lists(st.integers(0, 200), min_size=1, max_size=12).map(sorted)


@given(DAYS, DAYS)
def test_a_spread_is_of_what_was_known(left: list[int], right: list[int]) -> None:
    """Also where several values became known at one moment."""
    one, other = observed("A", left), observed("B", right, [0.5 * row for row in range(len(right))], every="1M")
    made = spread("s", one, other)
    assert list(zip(made.time.tolist(), made.close.tolist(), strict=True)) == slow_spread(one, other)
    assert (made.symbol, made.timeframe.name, made.observed) == ("s", "1d", True)


@given(st.lists(st.integers(0, 9), min_size=52, max_size=120))
def test_a_percentile_counts_the_year_before(values: list[int]) -> None:
    """Those of the 51 releases before it that lie below, in percent."""
    made = percentile("p", observed("c", list(range(len(values))), [float(value) for value in values], every="1w"))
    expected = [100 * sum(one < values[row] for one in values[row - 51 : row]) / 51 for row in range(51, len(values))]
    np.testing.assert_allclose(made.close, expected)
    assert days_of(made) == list(range(51, len(values)))


def test_a_percentile_reaches_from_0_to_100() -> None:
    rising = percentile("p", observed("c", list(range(60)), every="1w"))
    falling = percentile("p", observed("c", list(range(60)), [-float(row) for row in range(60)], every="1w"))
    assert set(rising.close.tolist()) == {100.0}
    assert set(falling.close.tolist()) == {0.0}
    with pytest.raises(DataRefused, match="c has 51 releases: p needs at least 52"):
        percentile("p", observed("c", list(range(51)), every="1w"))


class TestLoading:
    """The newest values that were known in a range, with the history before it."""

    SOURCE = ContextSource(name="x", series=("x",))

    def load(self, manager: DataManager, first: int | None, last: int | None, history: int = 0) -> list[int]:
        start, end = (None if day is None else instant(START + day * DAY) for day in (first, last))
        return days_of(manager.load_context(self.SOURCE, start=start, end=end, history=history))

    def test_the_range_the_one_that_stands_and_the_history(self, tmp_path: Path) -> None:
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 2, 5, 9, 12, 15, 30])))
        assert self.load(manager, None, None) == [1, 2, 5, 9, 12, 15, 30]
        assert self.load(manager, 10, 15) == [9, 12]
        assert self.load(manager, 12, 15) == [9, 12]
        assert self.load(manager, 10, 15, history=2) == [2, 5, 9, 12]
        assert self.load(manager, 31, 40) == [30]
        assert self.load(manager, None, 3) == [1, 2]

    def test_what_is_out_of_date_is_not_there(self, tmp_path: Path) -> None:
        """Three weeks after the last value of a day nothing stands any more, and nothing is filled backward."""
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 2, 5])))
        assert self.load(manager, 26, 40) == [5]
        for first, last in ((27, 40), (None, 1), (60, None)):
            with pytest.raises(DataNotFound, match=r"no value of x was known .*stored were known from 2017-07-15"):
                self.load(manager, first, last)

    def test_values_known_at_one_moment_stay_together(self, tmp_path: Path) -> None:
        """So that a prediction, which reads on from the first stamp, reads the same."""
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 3, 3, 3, 4, 5])))
        assert self.load(manager, 5, None, history=2) == [3, 3, 3, 4, 5]
        again = manager.load_context_from(self.SOURCE, START + 3 * DAY, None)
        assert days_of(again) == [3, 3, 3, 4, 5]

    def test_from_a_stamp_on(self, tmp_path: Path) -> None:
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 3, 4, 5])))
        end = instant(START + 5 * DAY)
        assert days_of(manager.load_context_from(self.SOURCE, START + 3 * DAY, end)) == [3, 4]
        assert days_of(manager.load_context_from(self.SOURCE, None, end + timedelta(microseconds=1))) == [1, 3, 4, 5]

    def test_the_strategy_says_another_lag(self, tmp_path: Path) -> None:
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 3])))
        source = ContextSource(name="x", series=("x",), lag="3d")
        assert days_of(manager.load_context(source, start=None, end=None, history=0)) == [3, 5]

    def test_without_any_lag_it_is_refused(self, tmp_path: Path) -> None:
        store = keep(BarStore(tmp_path), observed("x", [1, 3]), lag="strategy")
        with pytest.raises(DataRefused, match=r"nobody says when.*publication_lag.*--lag"):
            self.load(DataManager(store), None, None)
        source = ContextSource(name="x", series=("x",), lag="1d")
        assert days_of(DataManager(store).load_context(source, start=None, end=None, history=0)) == [2, 4]

    def test_another_symbol_is_read_as_any_bars(self, tmp_path: Path) -> None:
        manager = DataManager(keep(BarStore(tmp_path), random_bars(1, 100, symbol="GBPUSD")))
        source = ContextSource(name="GBPUSD", symbol="GBPUSD", timeframe="4h")
        made = manager.load_context(source, start=None, end=None, history=0)
        assert (len(made), made.timeframe.name) == (25, "4h")
        assert len(manager.load_context_from(source, int(made.time[5]), None)) == 20

    def test_nobody_trains_on_observations(self, tmp_path: Path) -> None:
        manager = DataManager(keep(BarStore(tmp_path), observed("x", [1, 3])))
        with pytest.raises(DataRefused, match=r"x is a series of observations, no bars.*context_data"):
            manager.load("x", "1d", start=None, end=None, history=0)
        with pytest.raises(DataNotFound, match="no others to be made"):
            manager.load_from("x", "1w", None, None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fred_DGS2", r"no series fred_DGS2.*it as DGS2.*`ktrdr data import-series FILE --name fred_DGS2 --lag 1d`"),
        ("cot_EUR_net_pos", r"net positions.*`ktrdr data import-series FILE --name cot_EUR_net_pos`.*Friday"),
        ("vix", r"no series vix: import it with `ktrdr data import-series FILE --name vix --lag 1d`"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_with_the_command(tmp_path: Path, name: str, says: str) -> None:
    source = ContextSource(name=name, series=(name,))
    with pytest.raises(DataNotFound, match=says):
        DataManager(BarStore(tmp_path)).load_context(source, start=None, end=None, history=0)


class TestStored:
    """Import, list, show and check of series beside bars."""

    TEXT = "date,value\n2024-01-02,1\n2024-01-03,2\n2024-01-04,4\n"

    def file(self, folder: Path, text: str = TEXT) -> Path:
        path = folder / "x.csv"
        path.write_text(text)
        return path

    def test_import_list_show_and_check(self, tmp_path: Path) -> None:
        bars = StoredBars(BarStore(tmp_path / "data"))
        report = bars.import_series(self.file(tmp_path), SeriesImport(name="x", lag="1d"))
        info = report.series
        assert (info.symbol, info.timeframe, info.bars, info.lag, info.observed) == ("x", "1d", 3, "1d", True)
        assert bars.series() == [info]
        assert bars.check("x", "1d") == report
        shown = bars.details("x", "1d", rows=2)
        assert [one.close for one in (*shown.head, *shown.tail)] == [1.0, 2.0, 4.0]
        wanted = SeriesWanted(symbol="x")
        (reading,) = bars.readings([wanted], None, None)
        assert (reading.bars, reading.stored, reading.resampled_from, wanted.name) == (3, info, None, "x")

    def test_other_values_need_replace(self, tmp_path: Path) -> None:
        """Of another frequency too: a name has one series."""
        bars = StoredBars(BarStore(tmp_path / "data"))
        first = bars.import_series(self.file(tmp_path), SeriesImport(name="x", lag="1d"))
        assert bars.import_series(self.file(tmp_path), SeriesImport(name="x", lag="1d")).series == first.series
        with pytest.raises(Conflict, match="--replace"):
            bars.import_series(self.file(tmp_path), SeriesImport(name="x", lag="2d"))
        weekly = SeriesImport(name="x", lag="1d", frequency="weekly", stamped="end")
        with pytest.raises(Conflict, match="x has values of 1d already"):
            bars.import_series(self.file(tmp_path), weekly)
        bars.import_series(self.file(tmp_path), weekly.model_copy(update={"replace": True}))
        assert [(one.symbol, one.timeframe) for one in bars.series()] == [("x", "1w")]

    def test_a_name_is_of_bars_or_of_values(self, tmp_path: Path) -> None:
        store = keep(BarStore(tmp_path / "data"), random_bars(1, 100, symbol="EURUSD"))
        bars = StoredBars(store)
        with pytest.raises(Conflict, match="EURUSD is a symbol with bars: give the series another name"):
            bars.import_series(self.file(tmp_path), SeriesImport(name="EURUSD", lag="1d"))
        bars.import_series(self.file(tmp_path), SeriesImport(name="x", lag="1d"))
        text = "time,open,high,low,close\n" + "".join(f"2024-01-0{day} 00:00,1,2,1,2\n" for day in range(1, 6))
        with pytest.raises(Conflict, match="x is a series of observations"):
            bars.import_file(self.file(tmp_path, text), symbol="x")

    def test_everything_that_is_missing_is_told_at_once(self, tmp_path: Path) -> None:
        bars = StoredBars(keep(BarStore(tmp_path), random_bars(1, 100)))
        wanted = [SeriesWanted(symbol="TEST", timeframe="4h"), SeriesWanted(symbol="GBPUSD", timeframe="1h")]
        with pytest.raises(DataNotFound) as error:
            bars.readings([*wanted, SeriesWanted(symbol="fred_DGS2")], None, None)
        lines = str(error.value).splitlines()
        assert ["GBPUSD" in lines[0], "fred_DGS2" in lines[1], len(lines)] == [True, True, 2]
        (reading,) = bars.readings(wanted[:1], None, None)
        assert (reading.resampled_from, reading.stored.timeframe) == ("1h", "1h")

    def test_a_made_timeframe_is_shown(self, tmp_path: Path) -> None:
        bars = StoredBars(keep(BarStore(tmp_path), random_bars(1, 100)))
        info = bars.details("TEST", "4h").series
        assert (info.timeframe, info.bars, info.source) == ("4h", 25, "resampled from 1h")
        assert info.path.endswith("TEST/1h.parquet")


def test_a_host_holds_the_same_values(tmp_path: Path) -> None:
    """Known by their digest, calendar and lag; with another lag they would be known at other moments."""
    own = keep(BarStore(tmp_path / "own"), observed("x", [1, 2, 3]))
    pins = BarPins(tmp_path / "pins", own)
    digest = own.facts("x", parse_timeframe("1d")).digest
    needed = SeriesNeeded(symbol="x", timeframe="1d", digest=digest, calendar="observed", lag="1d")
    assert not pins.has(needed.model_copy(update={"lag": "2d"}))
    assert pins.has(needed)
    source = ContextSource(name="x", series=("x",))
    loads = [
        manager.load_context(source, start=None, end=None, history=0).digest()
        for manager in (pins.source([needed]), DataManager(own))
    ]
    assert loads[0] == loads[1]
    with pytest.raises(DataNotFound, match="no series y"):
        pins.source([needed]).load_context(ContextSource(name="y", series=("y",)), start=None, end=None, history=0)
