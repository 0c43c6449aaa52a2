"""Into which longer bar each instant falls, told by that bar's open: hours from 00:00 UTC on, days as markets count
them, weeks from Monday and months of such days."""

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.timeframes import DAY, SECOND, Timeframe, new_york_closes, trading_days

NOWHERE = np.iinfo(np.int64).min
"""The bin of an instant at which the market is shut."""

DAY_US = DAY * SECOND
_SATURDAY, _SUNDAY = 5, 6


def bins_of(time: NDArray[np.int64], bars: Bars, timeframe: Timeframe) -> NDArray[np.int64]:
    """For each instant the open stamp of the bar of `timeframe` that it falls into, made of bars such as `bars`;
    NOWHERE outside the sessions of days.

    Hours begin at 00:00 UTC, moved by the minutes at which the shorter bars open (hours from 9:30 on stay whole). Days
    of FX begin at 17:00 New York, those of an exchange and around the clock at 00:00 UTC of their date; where the
    shorter bars are days themselves, at their own time of day.
    """
    if timeframe.seconds is not None and timeframe.seconds < DAY:
        step = timeframe.seconds * SECOND
        shift = _commonest(bars.time % (int(bars.timeframe.length) * SECOND))
        return np.asarray((time - shift) // step * step + shift, dtype=np.int64)
    days = market_days(time, bars)
    opens = np.full(len(time), NOWHERE)
    inside = days != NOWHERE
    opens[inside] = _day_opens(_first_days(days[inside], timeframe), bars)
    return opens


def market_days(time: NDArray[np.int64], bars: Bars) -> NDArray[np.int64]:
    """The trading day of each instant, in days since 1970; NOWHERE when the market is shut."""
    daily = bars.timeframe.length >= DAY
    if bars.calendar == "fx":
        days = trading_days(time)
        weekdays = (days + 3) % 7
        if daily:  # the hours of a Sunday belong to the week that they begin
            days = days + (weekdays == _SUNDAY)
            return np.where(weekdays == _SATURDAY, NOWHERE, days)
        return np.where(weekdays >= _SATURDAY, NOWHERE, days)
    if bars.calendar == "24/7" or daily:
        shift = _commonest(bars.time % DAY_US) if daily else 0
        return np.asarray((time - shift) // DAY_US, dtype=np.int64)
    return _session_days(time, bars)


def _session_days(time: NDArray[np.int64], bars: Bars) -> NDArray[np.int64]:
    """The date of the session that each bar overlaps."""
    from ktrdr.execution.data.calendars import sessions  # noqa: PLC0415 - a second that only days of exchanges cost

    dates, opens, closes = sessions(bars.calendar, int(time.min()), int(time.max()))
    at = np.searchsorted(closes, time, side="right")
    known = at < len(dates)
    at = np.minimum(at, len(dates) - 1)
    inside = known & (opens[at] < time + int(bars.timeframe.length) * SECOND)
    return np.where(inside, dates[at] // DAY_US, NOWHERE)


def _first_days(days: NDArray[np.int64], timeframe: Timeframe) -> NDArray[np.int64]:
    """The first day of the bar that each day falls into: weeks begin on Monday, months count from January."""
    if timeframe.seconds is None:
        count = int(timeframe.name[:-1])
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return (months // count * count).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    count = timeframe.seconds // DAY
    shift = 3 if count % 7 == 0 else 0  # 1970 began on a Thursday
    return np.asarray((days + shift) // count * count - shift, dtype=np.int64)


def _day_opens(days: NDArray[np.int64], bars: Bars) -> NDArray[np.int64]:
    shift = _commonest(bars.time % DAY_US) if bars.timeframe.length >= DAY else 0
    if bars.calendar == "fx" and (shift or bars.timeframe.length < DAY):
        return new_york_closes(days - 1)
    return days * DAY_US + shift


def _commonest(values: NDArray[np.int64]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 0
