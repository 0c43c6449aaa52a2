"""StoredBars: import, list, show and check as the floors above see them."""

import gzip
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.execution.data.bar_files import EXAMPLES, STOCKS, by_check
from tests.support import random_bars

from ktrdr.contracts.bars import BarRepository, SeriesReading, SeriesWanted
from ktrdr.errors import Conflict, DataNotFound, DataRefused
from ktrdr.execution.data.repository import StoredBars
from ktrdr.execution.data.store import BarStore, facts_of

EURUSD, AAPL, MSFT = (EXAMPLES / f"{name}.csv.gz" for name in ("EURUSD_1h", "AAPL_1d", "MSFT_1d"))


@pytest.fixture
def bars(tmp_path: Path) -> BarRepository:
    return StoredBars(BarStore(tmp_path / "data"))


def test_import_list_show_and_check(bars: BarRepository) -> None:
    assert bars.series() == []
    report = bars.import_file(EURUSD)
    bars.import_file(AAPL)
    info = report.series
    assert (info.symbol, info.timeframe, info.bars, info.calendar) == ("EURUSD", "1h", 6_225, "fx")
    assert (info.start, info.end) == (datetime(2017, 1, 1, 22, tzinfo=UTC), datetime(2017, 12, 29, 21, tzinfo=UTC))
    assert info.source == "EURUSD_1h.csv.gz"
    assert [one.symbol for one in bars.series()] == ["AAPL", "EURUSD"]
    assert bars.describe("EURUSD", "1H") == info == bars.series()[1]
    assert bars.check("EURUSD", "1h") == report


def test_what_a_training_finds(bars: BarRepository) -> None:
    """The bars of the range, and the stored series that they are read or made from."""
    stored = bars.import_file(EURUSD).series
    hourly, daily, short = (SeriesWanted(symbol="EURUSD", timeframe=name) for name in ("1h", "1d", "5m"))
    assert bars.readings([hourly], None, None) == [SeriesReading(wanted=hourly, bars=6_225, stored=stored)]
    assert bars.readings([hourly], datetime(2017, 1, 2, tzinfo=UTC), datetime(2017, 1, 3, tzinfo=UTC))[0].bars == 24
    (made,) = bars.readings([daily], datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 1, 8, tzinfo=UTC))
    assert (made.bars, made.stored, made.resampled_from) == (5, stored, "1h")
    assert made.notice == "EURUSD 1d is resampled from 1h"
    with pytest.raises(DataNotFound, match="no 1h bars of EURUSD from 2018-01-01 00:00 on: stored are 2017-01-01"):
        bars.readings([hourly], datetime(2018, 1, 1, tzinfo=UTC), None)
    with pytest.raises(DataNotFound, match=r"no 5m bars.*--symbol EURUSD --timeframe 5m.*cannot be made of 1h"):
        bars.readings([short], None, None)


def test_a_longer_timeframe_that_would_reach_farther_back_is_told(tmp_path: Path) -> None:
    """The finest stored one is what a series is made of, also when it begins later."""
    store, frame = BarStore(tmp_path), SeriesWanted(symbol="TEST", timeframe="4h")
    for bars in (random_bars(1, 24 * 50), random_bars(2, 4 * 24 * 50, timeframe="15m").rows(slice(4 * 24 * 10, None))):
        store.save(bars, facts_of(bars, source="-", source_sha256="", imported_at=""))
    (reading,) = StoredBars(store).readings([frame], None, None)
    assert (reading.bars, reading.resampled_from) == (40 * 6, "15m")
    assert reading.notice == "TEST 4h is resampled from 15m; its bars of 1h begin earlier"


def test_head_and_tail_never_overlap(bars: BarRepository) -> None:
    bars.import_file(EURUSD)
    shown = bars.details("EURUSD", "1h", rows=3)
    head, tail = shown.head, shown.tail
    assert [bar.open for bar in head] == [1.05236, 1.05227, 1.05283]
    assert (len(tail), tail[-1].close) == (3, 1.20075)
    shown = bars.details("EURUSD", "1h", rows=5_000)
    head, tail = shown.head, shown.tail
    assert len(head) + len(tail) == 6_225


def test_what_the_import_found_is_kept(bars: BarRepository) -> None:
    report = bars.import_file(AAPL)
    assert by_check(report.findings)["adjusted"].count == 3_270
    assert bars.check("AAPL", "1d").findings == report.findings


def test_other_bars_need_replace(bars: BarRepository) -> None:
    first = bars.import_file(AAPL)
    assert bars.import_file(AAPL).series == first.series
    with pytest.raises(Conflict, match=r"other 1d bars of AAPL are stored already.*--replace"):
        bars.import_file(MSFT, symbol="AAPL")
    assert bars.describe("AAPL", "1d") == first.series
    assert bars.import_file(MSFT, symbol="AAPL", replace=True).series.digest != first.series.digest


def test_splits_are_told_and_may_be_accepted(bars: BarRepository, tmp_path: Path) -> None:
    pl.read_csv(AAPL).drop("Adj Close").write_csv(tmp_path / "AAPL_1d.csv")
    found = by_check(bars.import_file(tmp_path / "AAPL_1d.csv").findings)["splits"]
    assert (found.severity, found.count) == ("error", 2)
    accepted = bars.import_file(tmp_path / "AAPL_1d.csv", accept_jumps=True)
    assert by_check(accepted.findings)["splits"].severity == "info"
    assert bars.check("AAPL", "1d").findings == accepted.findings


def test_one_bad_file_does_not_hide_the_others(bars: BarRepository, tmp_path: Path) -> None:
    bars.import_file(AAPL)
    (tmp_path / "data" / "BAD").mkdir()
    (tmp_path / "data" / "BAD" / "1h.parquet").write_bytes(b"?")
    assert [one.symbol for one in bars.series()] == ["AAPL"]
    with pytest.raises(DataRefused, match="--replace"):
        bars.describe("BAD", "1h")
    with pytest.raises(DataRefused, match="--replace"):
        bars.import_file(EURUSD, symbol="BAD")


def test_a_failed_import_stores_nothing(bars: BarRepository, tmp_path: Path) -> None:
    with pytest.raises(DataRefused):
        bars.import_file(tmp_path / "nothing.csv")
    with pytest.raises(DataNotFound):
        bars.describe("EURUSD", "1h")
    assert not (tmp_path / "data").exists()


def test_the_bundled_files_are_those_the_note_names() -> None:
    """Every file stands in the note with its two digests."""
    note = (EXAMPLES / "README.md").read_text()
    files = sorted(EXAMPLES.glob("*.gz"))
    assert [path.name for path in files] == sorted(["EURUSD_1h.csv.gz", *(f"{name}_1d.csv.gz" for name in STOCKS)])
    for path in files:
        content = path.read_bytes()
        assert f"`{path.name}` | `{hashlib.sha256(content).hexdigest()}`" in note
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() in note
    assert all((EXAMPLES / name).is_file() for name in ("LICENSE-gym-anytrading.txt", "LICENSE-bokeh_sampledata.txt"))


def test_a_training_loads_bars_without_calendars() -> None:
    """Their import takes half a second, and only imports and checks of bars ask for them."""
    code = (
        "import sys, ktrdr.execution.data.manager; sys.exit(bool({'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
