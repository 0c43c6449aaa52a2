"""Observations: each value counts from the moment at which it was known, and what a file leaves open is asked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.data.bar_files import Write, by_check

from ktrdr.contracts.bars import Finding, SeriesImport
from ktrdr.errors import DataRefused, InvalidName, InvalidRequest
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.lags import known_on_friday, parse_lag, with_lag
from ktrdr.execution.data.observations import check_observations, read_observations

DAILY = "observation_date,DGS2\n2024-01-02,4.33\n2024-01-03,4.36\n2024-01-04,.\n2024-01-05,4.40\n2024-01-08,4.37\n"
MONTHLY = "DATE,RATE\n2024-01-01,2.1\n2024-02-01,2.3\n2024-03-01,2.4\n2024-04-01,2.5\n"


def known(bars: Bars) -> list[str]:
    return [f"{instant(one):%Y-%m-%d %H:%M}" for one in bars.time]


def reading(path: Path, name: str = "x", **said: Any) -> tuple[Bars, str, dict[str, Finding]]:
    bars, lag, findings = read_observations(path, SeriesImport(name=name, **said))
    return bars, lag, by_check(findings)


def test_a_date_is_a_day_and_ends_with_it(write: Write) -> None:
    """FRED's point is no value; a day's value is known a lag after its midnight."""
    bars, lag, found = reading(write(DAILY), "fred_DGS2", lag="1d")
    assert known(bars) == ["2024-01-04 00:00", "2024-01-05 00:00", "2024-01-07 00:00", "2024-01-10 00:00"]
    assert bars.close.tolist() == bars.open.tolist() == bars.low.tolist() == [4.33, 4.36, 4.40, 4.37]
    assert (bars.symbol, bars.timeframe.name, bars.observed, lag) == ("fred_DGS2", "1d", True, "1d")
    assert found["missing"].count == 1
    assert bars.closes.tolist() == bars.time.tolist()
    other = reading(write(DAILY), lag="2d20h30m")[0]
    assert known(other)[0] == "2024-01-05 20:30"


def test_without_a_lag_it_is_refused(write: Write) -> None:
    """And so is a lag of nothing: no value is known as its period ends."""
    with pytest.raises(InvalidRequest, match=r"nobody says when the values of x were known.*known_at.*--lag"):
        reading(write(DAILY))
    for nothing in ("0", "0d", "", "soon", "-1d", "1", "1y", "d"):
        with pytest.raises(InvalidRequest, match="no publication lag"):
            reading(write(DAILY), lag=nothing)


def test_a_lag_that_strategies_say(write: Write) -> None:
    """The ends of the periods are kept; the check says what is lacking."""
    bars, lag, _ = reading(write(DAILY), lag="strategy")
    assert (known(bars)[0], lag) == ("2024-01-03 00:00", "strategy")
    assert by_check(check_observations(bars, lag))["no_lag"].count == 4


def test_months_have_to_say_how_they_are_stamped(write: Write) -> None:
    """A month stamped with its start is known after its end: a whole month later than its stamp looks."""
    with pytest.raises(InvalidRequest, match=r"1M long.*--stamped start or --stamped end.*FRED"):
        reading(write(MONTHLY), lag="6w")
    start, end = (reading(write(MONTHLY), lag="1d", stamped=how)[0] for how in ("start", "end"))
    assert known(start) == ["2024-02-02 00:00", "2024-03-02 00:00", "2024-04-02 00:00", "2024-05-02 00:00"]
    assert known(end)[0] == "2024-01-03 00:00"
    assert start.timeframe.name == end.timeframe.name == "1M"


def test_a_column_of_moments_wins(write: Write) -> None:
    """Instants as they are; a column of dates tells the day, so that values count from its end."""
    text = "date,value,known_at\n2024-01-31,1,2024-02-13 13:30\n2024-02-29,2,2024-03-12 12:30\n"
    bars, lag, _ = reading(write(text), lag="1d")
    assert (known(bars), lag) == (["2024-02-13 13:30", "2024-03-12 12:30"], "known_at")
    text = "date,value,known_at\n2024-01-31,1,2024-02-13\n2024-02-29,2,2024-03-12\n"
    assert known(reading(write(text))[0]) == ["2024-02-14 00:00", "2024-03-13 00:00"]


def test_revisions_are_left_out_and_late_values_hold_up_later_ones(write: Write) -> None:
    """Of each period the value known first; an indicator reads values in their order, and so waits for a late one."""
    text = """date,value,known_at
2024-01-31,1.0,2024-02-13 13:30
2024-02-29,2.0,2024-03-12 12:30
2024-01-31,1.5,2024-03-12 12:30
2024-03-31,3.0,2024-06-01 00:00
2024-04-30,4.0,2024-05-15 12:30
"""
    bars, _, found = reading(write(text))
    assert bars.close.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert known(bars)[2:] == ["2024-06-01 00:00", "2024-06-01 00:00"]
    assert (found["conflicts"].count, found["order"].count) == (1, 1)
    assert "revisions" in found["conflicts"].message


def test_positions_of_a_tuesday_are_known_on_friday(write: Write) -> None:
    """At 15:30 New York, in winter and in summer; a lag that is said wins."""
    text = "Report_Date,Net\n2024-01-02,5\n2024-01-09,6\n2024-06-04,8\n2024-06-11,9\n"
    bars, lag, _ = reading(write(text), "cot_EUR_net_pos")
    assert known(bars) == ["2024-01-05 20:30", "2024-01-12 20:30", "2024-06-07 19:30", "2024-06-14 19:30"]
    assert (lag, bars.timeframe.name) == ("Friday 15:30 New York", "1w")
    assert known(reading(write(text), "cot_EUR_net_pos", lag="4d", stamped="end")[0])[0] == "2024-01-07 00:00"


@given(st.integers(0, 20_000))
def test_the_friday_is_the_first_one_behind_the_day(day: int) -> None:
    """Read slowly; a stamp of a Friday, on which nothing could be known yet, waits a week."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    expected = moment + timedelta(days=1)
    while expected.weekday() != 4:
        expected += timedelta(days=1)
    local = datetime(expected.year, expected.month, expected.day, 15, 30, tzinfo=ZoneInfo("America/New_York"))
    assert known_on_friday(np.array([microseconds(moment)]))[0] == microseconds(local)


@pytest.mark.parametrize(
    ("step", "name"), [(1, "1d"), (7, "1w"), (30, "1M"), (91, "3M"), (365, "12M")]
)  # fmt: skip
def test_frequencies_are_the_usual_step(write: Write, step: int, name: str) -> None:
    days = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=step * row) for row in range(6)]
    text = "date,value\n" + "".join(f"{day:%Y-%m-%d},{row}\n" for row, day in enumerate(days))
    assert reading(write(text), lag="1d", stamped="end")[0].timeframe.name == name


def test_odd_steps_have_to_be_named(write: Write) -> None:
    text = "date,value\n2024-01-01,1\n2024-01-12,2\n2024-01-24,3\n"
    with pytest.raises(InvalidRequest, match="11 days apart: say --frequency"):
        reading(write(text), lag="1d", stamped="end")
    for said, name in (("weekly", "1w"), ("Quarterly", "3M"), ("1M", "1M"), ("4h", "4h")):
        assert reading(write(text), lag="1d", stamped="end", frequency=said)[0].timeframe.name == name


@pytest.mark.parametrize(
    ("text", "options", "error", "says"),
    [
        ("date,a,b\n2024-01-01,1,2\n", {}, InvalidRequest, "2 columns of values, a, b: say which one with --column"),
        ("date,a,b\n2024-01-01,1,2\n", {"column": "c"}, InvalidRequest, "say which one with --column"),
        ("date\n2024-01-01\n", {}, InvalidRequest, "0 columns of values, none"),
        ("a,b\n1,2\n", {}, DataRefused, "no column of times"),
        ("date,a\n2024-01-01,1,000\n2024-01-02,x\n", {}, DataRefused, "1 values are no numbers, such as 'x'"),
        ("date,a\n2024-01-01,1\n2024-01-02,.\n", {}, DataRefused, "1 usable observations"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(
    write: Write, text: str, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        reading(write(text), lag="1d", **options)


def test_a_column_is_named_in_any_spelling(write: Write) -> None:
    text = "As of Date,Open Interest (All),Net Positions\n2024-01-02,1,10\n2024-01-03,2,20\n"
    assert reading(write(text), lag="1d", column="netpositions")[0].close.tolist() == [10.0, 20.0]


def test_a_name_has_to_be_one(write: Write) -> None:
    with pytest.raises(InvalidName):
        reading(write(DAILY), "../x", lag="1d")


def test_parquet_and_zones(tmp_path: Path) -> None:
    """Days of New York end at its midnight; lines come in any order."""
    days = pl.Series([datetime(2024, 1, 3), datetime(2024, 1, 2)])
    path = tmp_path / "x.parquet"
    pl.DataFrame({"date": days, "value": [2, 1]}).write_parquet(path)
    bars, _, _ = reading(path, lag="1h", timezone="America/New_York")
    assert (known(bars), bars.close.tolist()) == (["2024-01-03 06:00", "2024-01-04 06:00"], [1.0, 2.0])


def test_hours_have_to_say_how_they_are_stamped(write: Write) -> None:
    text = "time,value\n2024-01-02 00:00,1\n2024-01-02 04:00,2\n2024-01-02 08:00,3\n"
    with pytest.raises(InvalidRequest, match="4h long: say whether"):
        reading(write(text), lag="5m", frequency="4h")
    start, end = (reading(write(text), lag="5m", frequency="4h", stamped=how)[0] for how in ("start", "end"))
    assert (known(start)[0], known(end)[0]) == ("2024-01-02 04:05", "2024-01-02 00:05")


def test_holes_are_found(write: Write) -> None:
    text = "date,value\n" + "".join(f"2024-{month:02}-{day:02},1\n" for month in (1, 5) for day in range(1, 20))
    bars, lag, _ = reading(write(text), lag="1d")
    (hole,) = check_observations(bars, lag)
    assert (hole.check, hole.count, hole.examples) == ("gaps", 1, ["2024-01-21"])


def test_another_lag_moves_what_was_known() -> None:
    """But not what the file tells itself, nor what the calendar of a report says."""
    week = parse_lag("1w")
    stamps = np.array([week, 2 * week])
    assert with_lag(stamps, "1w", "2w").tolist() == [2 * week, 3 * week]
    assert with_lag(stamps, "strategy", "1w").tolist() == [2 * week, 3 * week]
    for stored, wanted in (("1w", None), ("known_at", "2w"), ("Friday 15:30 New York", "2w")):
        assert with_lag(stamps, stored, wanted).tolist() == stamps.tolist()
