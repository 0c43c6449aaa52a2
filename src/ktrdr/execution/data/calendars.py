"""When markets are open: around the clock, the FX week, or an exchange's sessions.

Only the import and the check of bars come here; loading exchange calendars takes too long for a training's start.
"""

import exchange_calendars
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InvalidRequest
from ktrdr.execution.data.timeframes import DAY, SECOND, Timeframe

ALWAYS, FX = "24/7", "fx"
US_EQUITIES = "XNYS"


def check_calendar(name: str) -> str:
    """The calendar's name itself; raises InvalidRequest when there is none."""
    if name in (ALWAYS, FX) or name in exchange_calendars.get_calendar_names():
        return name
    raise InvalidRequest(f"there is no calendar {name!r}: use fx, 24/7 or an exchange's code such as XNYS or XLON")


def detect_calendar(time: NDArray[np.int64], timeframe: Timeframe) -> str:
    """The calendar that open stamps look like: weekends traded; whole weekdays, or days when New York's exchanges are
    shut; else New York's hours."""
    stamps = pl.Series(time).cast(pl.Datetime("us", "UTC"))
    weekdays = stamps.dt.weekday().to_numpy()
    if (weekdays == 6).mean() > 0.05 and timeframe.length <= DAY:
        return ALWAYS
    if timeframe.length >= DAY:
        return FX if (weekdays == 7).mean() > 0.02 or _trades_on_holidays(time) else US_EQUITIES
    step = int(timeframe.length) * SECOND
    local = stamps.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None).to_physical().to_numpy()
    times, counts = np.unique(local % (DAY * SECOND) // step, return_counts=True)
    usual = times[counts > counts.max() / 4]
    return FX if len(usual) * timeframe.length >= 20 * 3_600 else US_EQUITIES


def _trades_on_holidays(time: NDArray[np.int64]) -> bool:
    """Whether most weekdays on which New York's exchanges are shut have a bar."""
    first, last = (np.datetime64(int(stamp), "us").astype("datetime64[D]") for stamp in (time[0], time[-1]))
    dates, _, _ = sessions(US_EQUITIES, int(time[0]), int(time[-1]))
    days = np.arange(first, last + 1)
    shut = np.setdiff1d(days[np.is_busday(days)], dates.astype("datetime64[us]").astype("datetime64[D]"))
    traded = np.isin(shut, time.astype("datetime64[us]").astype("datetime64[D]"))
    return len(shut) >= 2 and bool(traded.mean() > 0.5)


def expected_opens(time: NDArray[np.int64], timeframe: Timeframe, calendar: str) -> NDArray[np.int64]:
    """The open stamps that a complete series between the first and the last of `time` would have.

    Daily bars keep the time of day of the series; intraday bars of an exchange begin at the session's open.
    """
    if timeframe.length > DAY:
        return time
    step = int(timeframe.length) * SECOND
    if calendar in (ALWAYS, FX):
        grid = np.arange(time[0], time[-1] + 1, step, dtype=np.int64)
        return grid if calendar == ALWAYS else grid[fx_is_open(grid, timeframe)]
    return _session_opens(time, timeframe, calendar)


def fx_is_open(opens: NDArray[np.int64], timeframe: Timeframe) -> NDArray[np.bool_]:
    """Whether FX trades at each instant: from Sunday 17:00 to Friday 17:00 New York. Days count as Monday to Friday."""
    stamps = pl.Series(opens).cast(pl.Datetime("us", "UTC"))
    shift = "12h" if timeframe.length >= DAY else "7h"
    zone = "UTC" if timeframe.length >= DAY else "America/New_York"
    day = stamps.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.offset_by(shift).dt.weekday()
    return np.asarray((day <= 5).to_numpy(), dtype=np.bool_)


def sessions(calendar: str, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The sessions of an exchange around the instants from `first` to `last`: dates (00:00 UTC), opens and closes."""
    week = 7 * DAY * SECOND
    exchange = exchange_calendars.get_calendar(calendar, start=_date(first - week), end=_date(last + week))
    schedule = exchange.schedule
    dates = schedule.index.to_numpy().astype("datetime64[us]").astype(np.int64)
    opens, closes = (
        schedule[name].dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
        for name in ("open", "close")
    )
    return dates, opens, closes


def _session_opens(time: NDArray[np.int64], timeframe: Timeframe, calendar: str) -> NDArray[np.int64]:
    dates, begins, ends = sessions(calendar, int(time[0]), int(time[-1]))
    if timeframe.length >= DAY:
        opens = dates + int(np.median(time % (DAY * SECOND)))
    else:
        step = int(timeframe.length) * SECOND
        offset = _offset(time, begins, step)
        opens = np.concatenate([np.arange(b - offset, e, step) for b, e in zip(begins, ends, strict=True)])
    return np.asarray(opens[(opens >= time[0]) & (opens <= time[-1])], dtype=np.int64)


def _offset(time: NDArray[np.int64], begins: NDArray[np.int64], step: int) -> int:
    """How far before the session's open the first bar of the day is stamped (a 9:30 open in a bar stamped 9:00)."""
    behind = begins[np.clip(np.searchsorted(begins, time, side="right"), 1, len(begins)) - 1]
    into = (time - behind) % step
    return int(-np.bincount((into // SECOND).astype(np.int64)).argmax() * SECOND % step)


def _date(stamp: int | np.int64) -> str:
    return str(np.datetime64(int(stamp), "us").astype("datetime64[D]"))
