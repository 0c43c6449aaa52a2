"""Checks: each fault put into real bars is found, counted and placed, and flawless bars have no finding."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.data.bar_files import STOCKS, by_check, example, frame_of, without
from tests.support import changed, cut, random_bars

from ktrdr.errors import InvalidRequest
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.calendars import check_calendar, detect_calendar, expected_opens
from ktrdr.execution.data.checks import check, clean
from ktrdr.execution.data.timeframes import parse_timeframe


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return example("EURUSD_1h")


@pytest.fixture(scope="module")
def ibm() -> Bars:
    return example("IBM_1d")


@pytest.fixture(scope="module")
def frame(eurusd: Bars) -> pl.DataFrame:
    return frame_of(eurusd)


def stamped(bars: Bars, row: int) -> str:
    return f"{instant(bars.time[row]):%Y-%m-%d %H:%M}"


class TestClean:
    """What is sorted out before bars are stored."""

    def test_real_bars_pass_as_they_are(self, frame: pl.DataFrame) -> None:
        kept, findings = clean(frame)
        assert kept.equals(frame)
        assert findings == []

    def test_disorder_is_sorted(self, frame: pl.DataFrame) -> None:
        mixed = pl.concat([frame[100:], frame[:100]])
        kept, findings = clean(mixed)
        assert kept.equals(frame)
        assert by_check(findings)["order"].count == 1

    def test_repeated_bars_are_dropped(self, frame: pl.DataFrame) -> None:
        kept, findings = clean(pl.concat([frame[:50], frame[48:]]))
        assert kept.equals(frame)
        assert by_check(findings)["duplicates"].count == 2

    def test_of_two_different_bars_the_last_is_kept(self, frame: pl.DataFrame) -> None:
        other = frame[10:12].with_columns(pl.col("volume") + 1)
        kept, findings = clean(pl.concat([frame, other]).sort("time", maintain_order=True))
        assert (len(kept), kept[10, "volume"]) == (len(frame), other[0, "volume"])
        assert set(by_check(findings)) == {"conflicts"}
        assert findings[0].count == 2

    @pytest.mark.parametrize(
        "prices",
        [
            {"open": None},
            {"close": float("nan")},
            {"high": float("inf")},
            {"low": 0.0},
            {"low": -1.0},
            {"high": 1.0},
            {"low": 9.0},
            {"high": 1.0, "low": 9.0},
        ],
    )
    def test_impossible_bars_are_dropped(self, frame: pl.DataFrame, prices: dict[str, float | None]) -> None:
        bad = pl.Series(np.arange(len(frame)) == 200)
        spoilt = frame.with_columns(
            pl.when(bad).then(pl.lit(value, dtype=pl.Float64)).otherwise(pl.col(name)).alias(name)
            for name, value in prices.items()
        )
        kept, findings = clean(spoilt)
        assert kept.equals(frame.filter(~bad))
        assert (findings[0].check, findings[0].count) == ("impossible", 1)
        assert findings[0].examples == [frame[200, "time"].strftime("%Y-%m-%d %H:%M")]

    @settings(max_examples=40)
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.randoms(use_true_random=False))
    def test_any_order_and_repetition_comes_out_rising_and_whole(self, rows: list[int], chance: object) -> None:
        bars = frame_of(random_bars(1, 31))
        kept, findings = clean(bars[rows])
        assert kept.equals(bars[sorted(set(rows))])
        found = by_check(findings)
        assert (found["duplicates"].count if "duplicates" in found else 0) == len(rows) - len(set(rows))


def test_flawless_bars_have_no_finding(eurusd: Bars) -> None:
    assert check(random_bars(1, 500)) == []
    assert set(by_check(check(eurusd))) == {"gaps"}
    for name in STOCKS:
        assert check(example(f"{name}_1d")) == []


def test_gaps_are_counted_against_the_fx_week(eurusd: Bars) -> None:
    """Weekends are none. The year has two real ones: Christmas Eve's last hours and Christmas Day's."""
    known = by_check(check(eurusd))["gaps"]
    assert (known.count, known.severity) == (15, "info")
    found = by_check(check(without(eurusd, [1000, 1001, 3000])))["gaps"]
    assert found.count == 18
    assert "in 4 gaps" in found.message
    assert found.examples[:2] == [stamped(eurusd, 1000), stamped(eurusd, 1001)]


def test_many_gaps_are_a_warning(eurusd: Bars) -> None:
    assert by_check(check(without(eurusd, list(range(0, 6000, 20)))))["gaps"].severity == "warning"


def test_gaps_are_counted_against_an_exchange(ibm: Bars) -> None:
    """Holidays, and the four days after 2001-09-11, are none."""
    found = by_check(check(without(ibm, [100, 101, 500])))["gaps"]
    assert (found.count, found.examples[0]) == (3, stamped(ibm, 100))


def test_gaps_around_the_clock() -> None:
    found = by_check(check(without(random_bars(1, 300), [7, 8, 9, 200])))["gaps"]
    assert found.count == 4
    assert "in 2 gaps" in found.message


def test_bars_when_the_market_is_shut(eurusd: Bars, ibm: Bars) -> None:
    saturday = microseconds(datetime(2017, 6, 3, 12, tzinfo=UTC))
    row = int(np.searchsorted(eurusd.time, saturday))
    time = eurusd.time.copy()
    time[row] = saturday
    found = by_check(check(replace(eurusd, time=time)))
    assert (found["outside_sessions"].count, found["outside_sessions"].examples) == (1, ["2017-06-03 12:00"])
    christmas = microseconds(datetime(2012, 12, 25, tzinfo=UTC))
    time = ibm.time.copy()
    time[int(np.searchsorted(time, christmas))] = christmas
    assert by_check(check(replace(ibm, time=time)))["outside_sessions"].examples == ["2012-12-25 00:00"]


def test_hours_of_an_exchange_in_either_stamp() -> None:
    """Bars of regular hours stamped 9:00 or 9:30 New York are complete either way, in winter and in summer."""
    for minute in (0, 30):
        stamps = [
            datetime(2017, 1, 3) + timedelta(days=day, hours=9 + hour, minutes=minute)
            for day in range(120)
            for hour in range(7)
        ]
        local = pl.Series(stamps).dt.cast_time_unit("us").dt.replace_time_zone("America/New_York")
        every = local.dt.convert_time_zone("UTC").to_physical().to_numpy()
        sessions = expected_opens(every, parse_timeframe("1h"), "XNYS")
        assert np.isin(sessions, every).all()
        weekdays = local.dt.weekday().to_numpy()
        assert len(sessions) == 7 * (len({t.date() for t in np.array(stamps)[weekdays <= 5]}) - 3)  # three holidays


def test_opens_carried_over_a_break(eurusd: Bars) -> None:
    """Real opens of the week differ from Friday's close; filled ones are told, for nobody could trade there."""
    breaks = np.flatnonzero(np.diff(eurusd.time) > 3_600_000_000) + 1
    opens = eurusd.open.copy()
    opens[breaks] = eurusd.close[breaks - 1]
    found = by_check(check(replace(eurusd, open=opens)))["carried_opens"]
    assert found.count == len(breaks)
    assert "100% of the breaks" in found.message


def test_bars_without_volume(eurusd: Bars) -> None:
    found = by_check(check(changed(eurusd, slice(10, 15), volume=0.0)))["zero_volume"]
    assert (found.count, found.examples[0]) == (5, stamped(eurusd, 10))


@pytest.mark.parametrize(("count", "told"), [(10, False), (11, True), (30, True)])
def test_prices_that_stand_still(eurusd: Bars, count: int, told: bool) -> None:
    rows = slice(2000, 2000 + count)
    price = eurusd.close[2000]
    found = by_check(check(changed(eurusd, rows, open=price, high=price, low=price, close=price)))
    assert ("stale" in found) == told
    if told:
        assert found["stale"].count == count - 1


def test_steps_that_do_not_fit(eurusd: Bars) -> None:
    time = eurusd.time.copy()
    time[500] -= 1_800_000_000
    found = by_check(check(replace(eurusd, time=time)))["time_step"]
    assert (found.severity, found.count) == ("error", 1)
    minutes = by_check(check(replace(random_bars(1, 100), timeframe=parse_timeframe("1m"))))["time_step"]
    assert (minutes.severity, minutes.count) == ("warning", 99)
    assert "most are 3600 seconds" in minutes.message


def test_local_midnights_do_not_break_the_step() -> None:
    """Days stamped at midnight in New York are 23 hours long once a year."""
    days = pl.datetime_range(datetime(2017, 3, 1), datetime(2017, 4, 1), "1d", time_zone="America/New_York", eager=True)
    bars = replace(random_bars(1, len(days), timeframe="1d"), time=days.dt.epoch("us").to_numpy())
    assert "time_step" not in by_check(check(bars))


@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d", "1w", "1M"])
@pytest.mark.parametrize("calendar", ["fx", "24/7", "XNYS"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_bars_are_no_trouble(timeframe: str, calendar: str, count: int) -> None:
    bars = random_bars(1, 10)
    check(replace(cut(bars, count), timeframe=parse_timeframe(timeframe), calendar=calendar))


def test_calendars_have_names() -> None:
    for name in ("fx", "24/7", "XNYS", "XLON", "XTKS"):
        assert check_calendar(name) == name
    with pytest.raises(InvalidRequest, match="fx, 24/7 or an exchange"):
        check_calendar("forex")


def test_calendars_are_told_from_stamps(eurusd: Bars, ibm: Bars) -> None:
    assert detect_calendar(eurusd.time, eurusd.timeframe) == "fx"
    assert detect_calendar(ibm.time, ibm.timeframe) == "XNYS"
    assert detect_calendar(random_bars(1, 500).time, parse_timeframe("1h")) == "24/7"
