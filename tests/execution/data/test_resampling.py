"""Resampling: what polars and pandas make of the same bars, days as markets count them, and nothing before it ended."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.execution.data.bar_files import example, frame_of, large, without
from tests.support import HOUR, bars_of, random_bars

from ktrdr.errors import DataRefused
from ktrdr.execution.data.bars import COLUMNS, Bars, instant, microseconds
from ktrdr.execution.data.calendars import expected_opens, sessions
from ktrdr.execution.data.resampling import divides, resampled, resampling_notice
from ktrdr.execution.data.timeframes import parse_timeframe, trading_days

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = HOUR // 60


def stamp(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def stamps(bars: Bars) -> list[str]:
    return [f"{instant(one):%Y-%m-%d %H:%M}" for one in bars.time]


def at(bars: Bars, time: np.ndarray, calendar: str | None = None) -> Bars:
    """The bars with other stamps."""
    columns = (getattr(bars, name) for name in COLUMNS[1:])
    return Bars(bars.symbol, bars.timeframe, calendar or bars.calendar, np.asarray(time, dtype=np.int64), *columns)


def made(bars: Bars, timeframe: str) -> Bars:
    return resampled(bars, parse_timeframe(timeframe))


def assert_columns(bars: Bars, frame: pl.DataFrame) -> None:
    """The bars are the frame's, but for what has not ended by the last of them."""
    frame = frame.head(len(bars))
    for name in COLUMNS:
        expected = frame[name].to_physical().to_numpy()
        if name == "volume":
            np.testing.assert_allclose(bars.volume, expected)
        else:
            np.testing.assert_array_equal(getattr(bars, name), expected)


AGGREGATES = [
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
]


def by_polars(bars: Bars, every: str) -> pl.DataFrame:
    return frame_of(bars).group_by_dynamic("time", every=every, closed="left", label="left").agg(AGGREGATES)


@pytest.mark.parametrize(("timeframe", "every"), [("4h", "4h"), ("12h", "12h"), ("2h", "2h")])
def test_hours_are_those_of_polars(timeframe: str, every: str) -> None:
    """On real bars with their weekends: no empty bar, the last one only when it has ended."""
    bars = example("EURUSD_1h")
    coarse, theirs = made(bars, timeframe), by_polars(bars, every)
    assert_columns(coarse, theirs)
    assert len(theirs) - 1 <= len(coarse) <= len(theirs)
    assert coarse.closes[-1] <= bars.closes[-1]


@pytest.mark.parametrize(
    ("timeframe", "rule"), [("4h", "4h"), ("1d", "1D"), ("1w", "W-MON"), ("1M", "MS"), ("3M", "QS")]
)
def test_around_the_clock_they_are_those_of_pandas(timeframe: str, rule: str) -> None:
    bars = random_bars(3, 24 * 300)
    columns = {name: getattr(bars, name) for name in COLUMNS[1:]}
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(bars.time.astype("datetime64[us]")))
    theirs = frame.resample(rule, closed="left", label="left").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    coarse = made(bars, timeframe)
    assert len(theirs) - 1 <= len(coarse) <= len(theirs)
    np.testing.assert_array_equal(coarse.time, theirs.index.astype("datetime64[us]").astype(np.int64)[: len(coarse)])
    np.testing.assert_allclose(rows_of(coarse), theirs.to_numpy()[: len(coarse)])


def slow(bars: Bars, key: Callable[[datetime], object]) -> list[tuple[float, ...]]:
    """Open, high, low, close and volume of each run of bars with one key."""
    groups: dict[object, list[int]] = {}
    for row, one in enumerate(bars.time):
        groups.setdefault(key(instant(one)), []).append(row)
    return [
        (bars.open[rows[0]], bars.high[rows].max(), bars.low[rows].min(), bars.close[rows[-1]], bars.volume[rows].sum())
        for rows in groups.values()
    ]


def rows_of(bars: Bars) -> np.ndarray:
    return np.column_stack([getattr(bars, name) for name in COLUMNS[1:]])


def trading_day(moment: datetime) -> object:
    """The FX day, read slowly: what is behind 17:00 New York belongs to tomorrow."""
    local = moment.astimezone(NEW_YORK)
    return local.date().toordinal() + (local.hour >= 17)


@pytest.mark.parametrize(
    ("timeframe", "of"),
    [
        ("1d", lambda day: day),
        ("1w", lambda day: (day - 1) // 7),  # the proleptic calendar begins on a Monday
        ("1M", lambda day: datetime.fromordinal(day).strftime("%Y-%m")),
    ],
)
def test_fx_days_end_at_17_new_york(timeframe: str, of: Callable[[int], object]) -> None:
    """Over a year with both changes of the clock; so do weeks and months, which are made of them."""
    bars = example("EURUSD_1h")
    coarse = made(bars, timeframe)
    theirs = slow(bars, lambda moment: of(trading_day(moment)))
    np.testing.assert_allclose(rows_of(coarse), np.array(theirs)[: len(coarse)])
    assert len(theirs) - 1 <= len(coarse) <= len(theirs)
    assert {instant(one).astimezone(NEW_YORK).hour for one in coarse.time} == {17}
    # a week that loses an hour to the summer time is seen an hour late: it closes at the later of length and session
    assert {instant(one).astimezone(NEW_YORK).hour for one in coarse.closes} <= (
        {17, 18} if timeframe == "1w" else {17}
    )


def test_fx_labels_are_the_left_edges() -> None:
    bars = example("EURUSD_1h")
    assert stamps(made(bars, "1d"))[:6] == [
        "2017-01-01 22:00", "2017-01-02 22:00", "2017-01-03 22:00", "2017-01-04 22:00", "2017-01-05 22:00",
        "2017-01-08 22:00",
    ]  # fmt: skip
    assert stamps(made(bars, "1w"))[10:12] == ["2017-03-12 21:00", "2017-03-19 21:00"]
    months = made(bars, "1M")
    assert stamps(months)[1:4] == ["2017-01-31 22:00", "2017-02-28 22:00", "2017-03-31 21:00"]
    ends = [f"{instant(one):%Y-%m-%d %H:%M}" for one in months.closes[1:3]]
    assert ends == ["2017-02-28 22:00", "2017-03-31 21:00"]


def session_bars(calendar: str, first: str, last: str, timeframe: str, *, minutes: int = 0) -> Bars:
    """Bars of every session, from its open on."""
    frame = parse_timeframe(timeframe)
    ends = np.array([stamp(first), stamp(last)])
    time = expected_opens(
        np.concatenate([[sessions(calendar, *ends)[1][1] - minutes * MINUTE], ends[1:]]), frame, calendar
    )
    return at(random_bars(5, len(time), timeframe=timeframe), time, calendar)


@pytest.mark.parametrize("timeframe", ["5m", "30m", "1h"])
def test_days_of_an_exchange_are_its_sessions(timeframe: str) -> None:
    """Whatever its hours: half days have a bar too; a bar stamped 9:00 has the open of 9:30 in it."""
    bars = session_bars("XNYS", "2017-06-01", "2018-01-10", timeframe, minutes=30 if timeframe == "1h" else 0)
    daily = made(bars, "1d")
    theirs = slow(bars, lambda moment: moment.astimezone(NEW_YORK).date())
    np.testing.assert_allclose(rows_of(daily), np.array(theirs)[: len(daily)])
    assert len(theirs) - len(daily) <= 1
    dates = sessions("XNYS", stamp("2017-06-01"), stamp("2018-01-10"))[0]
    assert set(daily.time) <= set(dates)
    assert len(daily) > 150
    weekly = made(bars, "1w")
    assert {instant(one).weekday() for one in weekly.time} == {0}
    np.testing.assert_allclose(weekly.close, made(daily, "1w").close[: len(weekly)])


@pytest.mark.parametrize("calendar", ["XLON", "XTKS", "XHKG", "XASX", "CMES"])
def test_sessions_anywhere_are_days_by_their_date(calendar: str) -> None:
    """Whether a session lies within UTC's day, begins the evening before or pauses at noon; none is seen before its
    end."""
    first, last = stamp("2017-03-01"), stamp("2017-06-01")
    dates, opens, ends = sessions(calendar, first, last)
    time = np.concatenate([np.arange(a, b, HOUR // 2) for a, b in zip(opens, ends, strict=True)])
    bars = at(random_bars(5, len(time), timeframe="30m"), time, calendar)
    daily = made(bars, "1d")
    theirs = slow(bars, lambda moment: int(np.searchsorted(ends, microseconds(moment), side="right")))
    np.testing.assert_allclose(rows_of(daily), np.array(theirs)[: len(daily)])
    assert len(theirs) - len(daily) <= 1
    np.testing.assert_array_equal(daily.time, dates[: len(daily)])
    assert (daily.closes >= ends[: len(daily)]).all()


@pytest.mark.parametrize("timeframe", ["1w", "1M", "3M"])
def test_days_of_fx_may_be_stamped_at_either_clock(timeframe: str) -> None:
    """Weeks and months of days stamped 17:00 New York and of days stamped with their date are those of the hours."""
    hours = example("EURUSD_1h")
    local = made(hours, "1d")
    dated = at(local, trading_days(local.time) * 24 * HOUR)
    expected = made(hours, timeframe)
    for daily in (local, dated):
        coarse = made(daily, timeframe)
        assert len(coarse) >= len(expected) - 1
        np.testing.assert_allclose(rows_of(coarse)[:, :4], rows_of(expected)[: len(coarse), :4])
        assert (coarse.closes >= expected.closes[: len(coarse)]).all()


def test_bars_outside_the_session_are_left_out_and_counted() -> None:
    """What is traded before the open and behind the close is not the day's."""
    inside = session_bars("XNYS", "2017-06-01", "2017-08-01", "5m")
    _, opens, _ = sessions("XNYS", int(inside.time[0]), int(inside.time[-1]))
    early = np.concatenate([opens[3:20] - 90 * MINUTE, opens[3:20] + 8 * HOUR])
    time = np.sort(np.concatenate([inside.time, early]))
    both = at(random_bars(6, len(time), timeframe="5m"), time, "XNYS")
    regular = without(both, np.flatnonzero(np.isin(time, early)).tolist())
    daily = made(both, "1d")
    np.testing.assert_array_equal(rows_of(daily), rows_of(made(regular, "1d")))
    assert daily.resampling is not None
    assert daily.resampling.left_out == len(early)
    assert "34 bars of 5m outside its sessions" in str(resampling_notice(daily))


def test_a_weekend_of_fx_is_left_out() -> None:
    bars = random_bars(7, 24 * 21, timeframe="1h")
    week = at(bars, bars.time, "fx")
    daily = made(week, "1d")
    assert {instant(one).astimezone(NEW_YORK).weekday() for one in daily.time} == {6, 0, 1, 2, 3}
    assert daily.resampling is not None
    assert daily.resampling.left_out == 3 * 48


def test_hours_of_a_session_that_opens_at_half_past_stay_whole() -> None:
    """Hours stamped 9:30 make four hours from 9:30 on: none of them would close behind its bar."""
    bars = session_bars("XNYS", "2017-06-01", "2017-12-01", "1h")
    assert {instant(one).minute for one in bars.time} == {30}
    coarse = made(bars, "4h")
    assert {instant(one).minute for one in coarse.time} == {30}
    assert_every_bar_holds_what_closed_in_it(bars, coarse)


def assert_every_bar_holds_what_closed_in_it(bars: Bars, coarse: Bars) -> None:
    """The definition, bar by bar: what opened at or after its open and closed by its close."""
    for row, (first, close) in enumerate(zip(coarse.time, coarse.closes, strict=True)):
        inside = np.flatnonzero((bars.time >= first) & (bars.closes <= close))
        assert len(inside)
        assert coarse.open[row] == bars.open[inside[0]]
        assert coarse.close[row] == bars.close[inside[-1]]
        assert coarse.high[row] == bars.high[inside].max()
        assert coarse.low[row] == bars.low[inside].min()


@given(
    st.sampled_from(
        [("5m", "15m"), ("5m", "1h"), ("1h", "4h"), ("1h", "1d"), ("4h", "1d"), ("1d", "1w"), ("1d", "1M")]
    ),
    st.lists(st.booleans(), min_size=5, max_size=40).filter(any),
    st.integers(0, 10_000),
    st.sampled_from(["24/7", "fx"]),
)
def test_no_bar_is_empty_unfinished_or_shows_more_than_was_known(
    frames: tuple[str, str], kept: list[bool], shift: int, calendar: str
) -> None:
    """With holes anywhere and from any bar on; prefixes give prefixes: what comes later changes no bar that ended."""
    short, long = frames
    whole = random_bars(shift, 400, timeframe=short)
    start = (shift * int(whole.timeframe.length)) * 1_000_000
    bars = without(at(whole, whole.time + start, calendar), np.flatnonzero(~np.resize(kept, 400)).tolist())
    try:
        coarse = made(bars, long)
    except DataRefused:
        assume(False)
    assert (np.diff(coarse.time) > 0).all()
    assert (coarse.closes <= bars.closes[-1]).all()
    if calendar == "24/7":
        assert_every_bar_holds_what_closed_in_it(bars, coarse)
    cut = bars.rows(slice(0, 2 * len(bars) // 3))
    if not len(cut):
        return
    earlier = made(cut, long)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(earlier, name), getattr(coarse, name)[: len(earlier)])
    ended = int(np.searchsorted(coarse.closes, cut.closes[-1], side="right"))
    assert len(earlier) == ended


def test_resampling_twice_is_resampling_once() -> None:
    """5m to 1h to 1d is 5m to 1d, where the days are the same."""
    for calendar in ("24/7", "fx"):
        bars = random_bars(8, 12 * 24 * 40, timeframe="5m")
        bars = at(bars, bars.time, calendar)
        once, twice = made(bars, "1d"), made(made(bars, "1h"), "1d")
        np.testing.assert_allclose(rows_of(once), rows_of(twice))
        np.testing.assert_array_equal(once.time, twice.time)


def test_holes_are_counted_in_the_bars_that_have_them() -> None:
    """Not those at weekends, and not those of whole bars, which are not there."""
    hourly = random_bars(9, 24 * 14)
    broken = without(hourly, [1, 2, 9, *range(24, 32), 50])
    coarse = made(broken, "4h")
    assert coarse.resampling is not None
    assert coarse.resampling.missing.tolist()[:6] == [2, 0, 1, 0, 0, 0]
    assert coarse.resampling.missing.sum() == 4
    assert resampling_notice(coarse) == "TEST 4h is resampled from 1h; 4 bars of 1h are missing in 3 of its 82"
    assert resampling_notice(coarse.rows(slice(3, 9))) == "TEST 4h is resampled from 1h"
    eurusd = made(example("EURUSD_1h"), "1d").resampling
    assert eurusd is not None
    assert (eurusd.missing.sum(), eurusd.left_out) == (0, 0)
    assert resampling_notice(hourly) is None


def test_bars_that_lie_across_are_refused_or_left_out() -> None:
    """Four hours from 00:00 UTC make no day that begins at 17:00 New York; one stray bar is an accident."""
    bars = random_bars(10, 600, timeframe="4h")
    with pytest.raises(DataRefused, match=r"lie across the ends of 1d bars.*import bars of 1d, or shorter ones"):
        made(at(bars, bars.time, "fx"), "1d")
    hourly = random_bars(11, 400)
    time = hourly.time.copy()
    time[203] += 30 * MINUTE
    coarse = made(without(at(hourly, time), [204]), "4h")
    assert coarse.resampling is not None
    assert coarse.resampling.left_out == 1
    assert_every_bar_holds_what_closed_in_it(without(at(hourly, time), [204]), coarse)


@pytest.mark.parametrize(
    ("short", "long", "does"),
    [
        ("5m", "1h", True), ("1h", "4h", True), ("1h", "1d", True), ("4h", "1d", True), ("1d", "1w", True),
        ("1d", "1M", True), ("1h", "1M", True), ("1M", "3M", True), ("5m", "1w", True), ("1w", "2w", True),
        ("1h", "5m", False), ("1h", "1h", False), ("2h", "3h", False), ("1w", "1M", False), ("1M", "1w", False),
        ("1h", "5h", False), ("2d", "1w", False), ("7h", "1d", False), ("2M", "3M", False), ("45m", "1h", False),
        ("1M", "1M", False),
    ],
)  # fmt: skip
def test_what_divides_what(short: str, long: str, does: bool) -> None:
    assert divides(parse_timeframe(short), parse_timeframe(long)) is does


def test_nothing_makes_nothing() -> None:
    assert len(made(random_bars(1, 0), "4h")) == 0
    assert len(made(random_bars(1, 3), "4h")) == 0
    assert len(made(random_bars(1, 4), "4h")) == 1


def test_bars_before_1970() -> None:
    flat = np.full(24 * 70, 5.0)
    bars = bars_of(flat, flat, flat, flat, start=stamp("1968-12-30"))
    assert stamps(made(bars, "1w"))[:2] == ["1968-12-30 00:00", "1969-01-06 00:00"]
    assert stamps(made(bars, "1M")) == ["1968-12-01 00:00", "1969-01-01 00:00", "1969-02-01 00:00"]


@pytest.mark.parametrize("name", ["EURUSD_1h", "SPY_1h"])
def test_years_of_real_hours(name: str) -> None:
    """Every bar of every longer timeframe, against the definition read in pandas."""
    bars = large(name)
    daily = made(bars, "1d")
    local = pd.to_datetime(bars.time, unit="us", utc=True).tz_convert(NEW_YORK)
    shifted = (local.tz_localize(None) + pd.Timedelta(hours=7 if bars.calendar == "fx" else 0)).normalize()
    frame = pd.DataFrame({"day": shifted, **{column: getattr(bars, column) for column in COLUMNS[1:]}})
    frame = frame[frame["day"].dt.weekday < 5]
    theirs = frame.groupby("day").agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    assert daily.resampling is not None
    if daily.resampling.left_out == 0:
        assert abs(len(theirs) - len(daily)) <= 1
        for column in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(getattr(daily, column), theirs[column].to_numpy()[: len(daily)])
