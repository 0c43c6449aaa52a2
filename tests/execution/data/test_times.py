"""Times: every spelling gives the same stamps, and what a column of times leaves open is refused, never guessed."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.execution.data.bar_files import PRICES, START, Write, example, frame_of, lines, reading, text

from ktrdr.errors import DataRefused, InvalidRequest
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.importing import read_bars


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M:%S.000",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.000Z",
        "%Y-%m-%d %H:%M:%S+00:00",
        "%Y-%m-%d %H:%M:%S+00",
        "%Y-%m-%d %H:%M:%S UTC",
        "%d.%m.%Y %H:%M:%S.000",
        "%d.%m.%Y %H:%M:%S.000 GMT+0000",
        "%m/%d/%Y %H:%M",
        "%d/%m/%Y %H:%M",
        "%d-%m-%Y %H:%M",
        "%m-%d-%Y %H:%M",
        "%m/%d/%Y %I:%M %p",
        "%Y.%m.%d %H:%M",
        "%Y/%m/%d %H:%M",
        "%Y%m%d %H:%M",
        "%Y%m%d %H%M%S",
        "%Y%m%d%H%M",
        "%Y%m%d%H%M%S",
        "%s",
        "%s000",
        "%s000000",
        "%s000000000",
        "%s.0",
    ],
)
def test_spellings_of_times(write: Write, form: str) -> None:
    """Twenty-five days tell which of day and month stands first."""
    bars, findings = reading(write(text(form)))
    assert (instant(bars.time[0]), len(bars)) == (START, 600)
    assert (np.diff(bars.time) == 3_600_000_000).all()
    assert findings == {}


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d-%m-%Y", "%m/%d/%Y", "%Y%m%d", "%d.%m.%Y"])
def test_spellings_of_dates(write: Write, form: str) -> None:
    bars, _ = reading(write(text(form, step=1_440, count=90), "X.csv"))
    assert (instant(bars.time[0]), bars.timeframe.name, bars.symbol) == (START, "1d", "X")


@pytest.mark.parametrize("offset", ["-05:00", "-0500", "-05", "+05:30"])
def test_an_offset_is_taken_off(write: Write, offset: str) -> None:
    bars, _ = reading(write(text(f"%Y-%m-%d %H:%M:%S{offset}")))
    hours = {"-": 5.0, "+": -5.5}[offset[0]]
    assert instant(bars.time[0]) == START + timedelta(hours=hours)


def test_newest_first_is_sorted_and_still_tells_the_order_of_day_and_month(write: Write) -> None:
    rows = lines("%m/%d/%Y %H:%M")
    path = write("\n".join(["time,open,high,low,close,volume", *reversed(rows)]))
    bars, findings = reading(path)
    assert instant(bars.time[0]) == START
    assert findings["order"].count == 599


def test_dates_that_may_be_read_both_ways_are_refused_unless_told(write: Write) -> None:
    path = write(text("%d/%m/%Y", count=5, step=1_440), "X.csv")
    with pytest.raises(DataRefused, match=r"day or with the month.*order of dates"):
        read_bars(path)
    assert instant(reading(path, date_order="day")[0].time[0]) == START
    assert instant(reading(path, date_order="month", timeframe="1d")[0].time[0]).month == 2


@pytest.mark.parametrize(
    ("form", "saying"),
    [
        ("soon", "cannot be read"),
        ("%s000000000000", "1800 to 2200"),
        ("%H:%M", "cannot be read"),
        ("", "no row has a time"),
    ],
)
def test_times_that_are_none_are_refused(write: Write, form: str, saying: str) -> None:
    with pytest.raises(DataRefused, match=saying):
        read_bars(write(text(form)))


def test_half_a_zone_is_refused(write: Write) -> None:
    rows = [*lines("%Y-%m-%d %H:%M:%S", count=5), *lines("%Y-%m-%d %H:%M:%SZ", count=5)]
    with pytest.raises(DataRefused, match="some do not"):
        read_bars(write("\n".join(["time,open,high,low,close,volume", *rows])))


def test_rows_without_a_time_are_dropped_and_counted(write: Write) -> None:
    bars, findings = reading(write(text("%Y-%m-%d %H:%M") + f",{PRICES}\n,{PRICES}\n"))
    assert (len(bars), findings["no_time"].count) == (600, 2)


def test_times_of_day_as_numbers_keep_their_zeros(tmp_path: Path) -> None:
    stamps = [START + timedelta(minutes=5 * row) for row in range(300)]
    frame = pl.DataFrame(
        {
            "date": [int(f"{stamp:%Y%m%d}") for stamp in stamps],
            "time": [int(f"{stamp:%H%M%S}") for stamp in stamps],
            **dict.fromkeys(("open", "high", "low", "close"), 1.0),
        }
    )
    frame.write_parquet(tmp_path / "X.parquet")
    bars, _ = reading(tmp_path / "X.parquet")
    assert (bars.timeframe.name, bars.volume[0], instant(bars.time[1])) == ("5m", 0.0, START + timedelta(minutes=5))


def localised(bars: Bars, zone: str) -> pl.DataFrame:
    frame = frame_of(bars)
    local = frame["time"].dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return frame.with_columns(local.alias("time"))


def test_a_named_zone_gives_the_same_bars_but_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """Real FX hours never lie in New York's clock change; Berlin's are on Sunday at 01:00 UTC, before the open, too."""
    bars = example("EURUSD_1h")
    for zone in ("America/New_York", "Europe/Berlin", "Asia/Tokyo"):
        localised(bars, zone).write_csv(tmp_path / "EURUSD_1h.csv")
        assert read_bars(tmp_path / "EURUSD_1h.csv", timezone=zone)[0].digest() == bars.digest()


def test_hours_that_a_clock_change_skips_or_repeats_are_dropped_and_counted(write: Write) -> None:
    """2017-03-12 02:00 does not exist in New York, 2017-11-05 01:00 comes twice."""
    rows = [f"2017-03-12 0{hour}:00,{PRICES}" for hour in range(5)] + [
        f"2017-11-05 0{hour}:00,{PRICES}" for hour in range(5)
    ]
    path = write("\n".join(["time,open,high,low,close,volume", *rows]))
    bars, findings = reading(path, timezone="America/New_York")
    assert (len(bars), findings["clock_change"].count) == (8, 2)
    assert findings["clock_change"].examples == ["2017-03-12 02:00:00", "2017-11-05 01:00:00"]


def test_a_zone_that_is_none_is_told(write: Write) -> None:
    with pytest.raises(InvalidRequest, match="America/New_York"):
        read_bars(write(text("%Y-%m-%d %H:%M")), timezone="New York")
    with pytest.raises(InvalidRequest, match="there is no calendar"):
        read_bars(write(text("%Y-%m-%d %H:%M")), calendar="nyse!")


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("UTC", None),
        ("America/New_York", "America/New_York"),
        ("Etc/GMT+5", "Etc/GMT+5"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe/Athens", "Europe/Athens"),
    ],
)
def test_another_clock_shows_in_the_weeks_of_fx(tmp_path: Path, zone: str, hint: str | None) -> None:
    localised(example("EURUSD_1h"), zone).write_csv(tmp_path / "EURUSD_1h.csv")
    _, findings = reading(tmp_path / "EURUSD_1h.csv", calendar="fx")
    if hint is None:
        assert "timezone" not in findings
    else:
        assert f"--timezone {hint}" in findings["timezone"].message


def new_york_hours(days: int) -> pl.DataFrame:
    """Hourly bars of regular hours, stamped 09:30 to 15:30 in New York's own clock."""
    first = datetime(2017, 1, 2)
    stamps = [
        first + timedelta(days=day, hours=9 + hour, minutes=30)
        for day in range(days)
        if (first + timedelta(days=day)).weekday() < 5
        for hour in range(7)
    ]
    return pl.DataFrame({"time": stamps, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 1.0})


def test_new_yorks_own_clock_shows_in_its_hours(tmp_path: Path) -> None:
    new_york_hours(200).write_csv(tmp_path / "X_1h.csv")
    bars, findings = reading(tmp_path / "X_1h.csv")
    assert bars.calendar == "XNYS"
    assert "--timezone America/New_York" in findings["timezone"].message
    right, findings = reading(tmp_path / "X_1h.csv", timezone="America/New_York")
    assert (len(right), findings) == (len(bars), {})


def test_stamps_of_parquet(tmp_path: Path) -> None:
    """Dates, seconds as fractions and stamps with a zone mean what they say."""
    prices = {name: [1.0] * 60 for name in ("open", "high", "low", "close")}
    days = pl.Series([START + timedelta(days=day) for day in range(60)])
    columns = {
        "date": days.dt.date(),
        "seconds": days.dt.epoch("s").cast(pl.Float64),
        "zoned": days.dt.convert_time_zone("Asia/Tokyo"),
    }
    for name, column in columns.items():
        pl.DataFrame({"time": column, **prices}).write_parquet(tmp_path / f"{name}.parquet")
        bars, findings = reading(tmp_path / f"{name}.parquet")
        assert (instant(bars.time[0]), bars.timeframe.name, findings) == (START, "1d", {})
    endless = pl.Series([float("inf")] * 60)
    pl.DataFrame({"time": endless, **prices}).write_parquet(tmp_path / "X.parquet")
    with pytest.raises(DataRefused, match="no epochs"):
        read_bars(tmp_path / "X.parquet")
