"""Trading days are those of the exchanges' own calendars, told without them; breaks are where markets were shut."""

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from tests.support import bars_of

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.sessions import carried_opens, session_breaks, trading_days
from ktrdr.execution.data.timeframes import parse_timeframe

DAY = 86_400_000_000
HOUR = 3_600_000_000


def bars_at(time: np.ndarray, timeframe: str, calendar: str) -> Bars:
    """Bars with these stamps and a price that rises."""
    price = 100.0 + np.arange(len(time))
    columns = (price, price + 2, price - 2, price + 0.5, np.ones(len(time)))
    return Bars("TEST", parse_timeframe(timeframe), calendar, np.asarray(time, dtype=np.int64), *columns)


def stamps(text: list[str]) -> np.ndarray:
    return np.array(text, dtype="datetime64[us]").astype(np.int64)


def exchange_bars(code: str, minutes: int) -> tuple[Bars, np.ndarray]:
    """Every bar of the sessions of two years that see every change of clocks, and the session of each."""
    calendar = exchange_calendars.get_calendar(code, start="2020-12-01", end="2022-12-31")
    opens = calendar.trading_index(
        "2021-01-04",
        "2022-12-28",
        f"{minutes}min",
        intervals=False,
        closed="left",
        force_close=False,
        ignore_breaks=False,
    )
    if code == "CMES":  # its calendar leaves out the hour of rest that the market takes at its end
        opens = opens[opens.tz_convert(calendar.tz).hour != 16]
    session = calendar.minutes_to_sessions(opens).to_numpy().astype("datetime64[D]").astype(np.int64)
    return bars_at(opens.as_unit("us").asi8, f"{minutes}m", code), session


@pytest.mark.parametrize("code", ["XNYS", "XLON", "XETR", "XTKS", "XHKG", "XASX", "XNZE", "XBOM", "BVMF", "CMES"])
def test_the_days_of_an_exchange_are_its_calendars_sessions(code: str) -> None:
    """Days begin and end where sessions do, on both sides of the date line, over lunch and all changes of clocks."""
    bars, session = exchange_bars(code, 30)
    days = trading_days(bars)
    np.testing.assert_array_equal(np.diff(days) != 0, np.diff(session) != 0)
    assert (np.diff(days) >= 0).all()
    assert (days == session).mean() > 0.99


def test_the_day_of_fx_begins_at_five_in_new_york() -> None:
    time = stamps(["2017-01-06T21:00", "2017-01-08T22:00", "2017-01-09T21:00", "2017-01-09T22:00", "2017-07-10T21:00"])
    days = trading_days(bars_at(time, "1h", "fx")).astype("datetime64[D]").astype(str).tolist()
    assert days == ["2017-01-06", "2017-01-09", "2017-01-09", "2017-01-10", "2017-07-11"]


def test_around_the_clock_it_is_the_utc_day() -> None:
    bars = bars_of(*np.full((4, 60), 5.0))
    np.testing.assert_array_equal(trading_days(bars) - trading_days(bars)[0], np.arange(60) // 24)


@pytest.mark.parametrize(("timeframe", "step"), [("1d", DAY), ("1w", 7 * DAY)])
@pytest.mark.parametrize("calendar", ["fx", "XNYS", "24/7"])
def test_a_bar_of_a_day_or_more_has_its_own_day(timeframe: str, step: int, calendar: str) -> None:
    bars = bars_at(stamps(["2017-02-01"])[0] + np.arange(100) * step, timeframe, calendar)
    assert len(np.unique(trading_days(bars))) == 100


def test_no_bars_have_no_days() -> None:
    for calendar in ("fx", "XNYS", "24/7"):
        empty = bars_at(np.empty(0), "1h", calendar)
        assert len(trading_days(empty)) == len(session_breaks(empty)) == len(carried_opens(empty)) == 0


def test_a_session_breaks_where_nothing_closes_as_the_next_bar_opens() -> None:
    time = stamps(["2017-01-06T20:00", "2017-01-06T21:00", "2017-01-08T22:00", "2017-01-08T23:00"])
    assert session_breaks(bars_at(time, "1h", "fx")).tolist() == [False, False, True, False]
    assert session_breaks(bars_at(time, "1h", "24/7")).tolist() == [False] * 4


def test_daily_bars_break_every_night_on_an_exchange_and_at_weekends_in_fx() -> None:
    """2017-01-05 is a Thursday."""
    time = stamps(["2017-01-05", "2017-01-06", "2017-01-09", "2017-01-10"])
    assert session_breaks(bars_at(time, "1d", "XNYS")).tolist() == [False, True, True, True]
    assert session_breaks(bars_at(time, "1d", "fx")).tolist() == [False, False, True, False]


def test_an_open_is_carried_only_behind_a_break_and_to_the_last_digit() -> None:
    time = stamps(["2017-01-06T20:00", "2017-01-06T21:00", "2017-01-08T22:00", "2017-01-09T00:00"])
    bars = bars_at(time, "1h", "fx")
    bars.open[1:] = bars.close[:-1]
    bars.open[3] += 1e-9
    assert carried_opens(bars).tolist() == [False, False, True, False]
    assert pd.Timestamp(int(bars.time[2]), unit="us").day_name() == "Sunday"
