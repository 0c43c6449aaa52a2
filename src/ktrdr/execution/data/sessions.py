"""Where trading days begin and markets pause, told from the bars: a training has no time to load calendars."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.timeframes import DAY, SECOND

_SHORTEST_NIGHT = 4 * 3_600
"""Seconds of the clock at which a market that closes overnight never trades, summer time included; a pause for lunch
is shorter."""


def trading_days(bars: Bars) -> NDArray[np.int64]:
    """The trading day that each bar opens in, as days since 1970.

    Around the clock it is UTC's day; in FX it begins at 17:00 New York the day before. An exchange's begins in the
    middle of the hours of the clock (UTC) at which its bars never open; one that has no such hours, as futures do that
    rest for an hour a day, keeps FX's day. A bar of a day or longer has a day of its own.
    """
    if bars.calendar == "24/7" or not len(bars):
        return bars.time // (DAY * SECOND)
    if bars.calendar == "fx":
        return _new_york_days(bars.time)
    if bars.timeframe.length >= DAY:
        return bars.time // (DAY * SECOND)
    night = _night(bars)
    if night is None:
        return _new_york_days(bars.time)
    begin = np.int64(night * SECOND)
    return (bars.time - begin) // (DAY * SECOND) + (begin + DAY * SECOND // 2) // (DAY * SECOND)


def session_breaks(bars: Bars) -> NDArray[np.bool_]:
    """Whether the market was shut between the bar before and this one: nothing closed as this one opened.

    Markets around the clock have no sessions; a bar of a day or longer on an exchange, and one longer than a day in
    FX, always opens behind a break.
    """
    breaks = np.zeros(len(bars), dtype=np.bool_)
    if bars.calendar == "24/7":
        return breaks
    if bars.timeframe.length > DAY or (bars.timeframe.length == DAY and bars.calendar != "fx"):
        breaks[1:] = True
    else:
        breaks[1:] = bars.time[1:] > bars.closes[:-1]
    return breaks


def carried_opens(bars: Bars) -> NDArray[np.bool_]:
    """Opens behind a session break that are the close before it, to the last digit: nobody could trade there."""
    carried = session_breaks(bars)
    carried[1:] &= bars.open[1:] == bars.close[:-1]
    return carried


def _new_york_days(time: NDArray[np.int64]) -> NDArray[np.int64]:
    stamps = pl.Series(time, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    local = stamps.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None).dt.offset_by("7h")
    return np.asarray(local.dt.epoch("d").to_numpy(), dtype=np.int64)


def _night(bars: Bars) -> int | None:
    """The second of UTC's clock in the middle of the longest stretch at which no bar opens; None when it is short."""
    used = np.unique(bars.time % (DAY * SECOND)) // SECOND
    gaps = np.diff(used, append=used[0] + DAY)
    longest = int(gaps.argmax())
    if gaps[longest] - bars.timeframe.length < _SHORTEST_NIGHT:
        return None
    return int(used[longest] + gaps[longest] // 2) % DAY
