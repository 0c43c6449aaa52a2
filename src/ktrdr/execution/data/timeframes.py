"""Timeframes, and when a bar of one closes: a bar is stamped with its open and seen only at its close."""

import re
from dataclasses import dataclass
from functools import total_ordering

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InvalidRequest

SECOND = 1_000_000
DAY = 86_400
NEW_YORK = "America/New_York"
OBSERVED = "observed"
"""The calendar of observations: they are stamped with the moment at which each was known, and seen from then on."""
_UNITS = {"m": 60, "h": 3_600, "d": DAY, "w": 7 * DAY}
_WORDS = {"min": "m", "t": "m", "hour": "h", "day": "d", "week": "w", "month": "M", "mo": "M"}
_FORM = re.compile(r"(\d{0,3})\s*([A-Za-z]+?)s?")


@total_ordering
@dataclass(frozen=True)
class Timeframe:
    """A bar's length: `name` as files and columns spell it; `seconds` None for months, which differ."""

    name: str
    seconds: int | None

    @property
    def length(self) -> float:
        """Seconds, a month counted as 30 days."""
        return float(self.seconds or int(self.name[:-1]) * 30 * DAY)

    def __lt__(self, other: "Timeframe") -> bool:
        return self.length < other.length


def parse_timeframe(text: str) -> Timeframe:
    """The timeframe of a spelling such as 5m, 1H, 1d, 1w; case matters between 1m (minute) and 1M (month) alone."""
    form = _FORM.fullmatch(text.strip())
    if form:
        count, word = int(form[1] or 1), form[2]
        unit = "M" if word == "M" else _WORDS.get(word.lower(), word.lower())
        if count and (unit in _UNITS or unit == "M"):
            return Timeframe(f"{count}{unit}", None if unit == "M" else count * _UNITS[unit])
    raise InvalidRequest(f"{text!r} is not a timeframe: write 1m, 5m, 15m, 1h, 4h, 1d, 1w or 1M (month)")


def bar_closes(opens: NDArray[np.int64], timeframe: Timeframe, calendar: str) -> NDArray[np.int64]:
    """The close of each bar, microseconds UTC: its open plus its length; of FX days and longer, the later of that and
    17:00 New York of its last day, where its session ends. (An exchange's session ends within the day anyway.)
    Observations are known at their stamps."""
    if calendar == OBSERVED:
        return opens
    closes = later(opens, timeframe)
    if calendar != "fx" or timeframe.length < DAY:
        return closes
    behind = later(trading_days(opens) * DAY * SECOND, timeframe)
    return np.asarray(np.maximum(closes, new_york_closes(behind // (DAY * SECOND) - 1)), dtype=np.int64)


def later(opens: NDArray[np.int64], timeframe: Timeframe) -> NDArray[np.int64]:
    """Each instant one length of the timeframe later."""
    if timeframe.seconds is not None:
        return opens + np.int64(timeframe.seconds * SECOND)
    return _stamps(opens).dt.offset_by(f"{int(timeframe.name[:-1])}mo").dt.epoch("us").to_numpy().astype(np.int64)


def trading_days(stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The FX trading day of each instant, in days since 1970: one begins at 17:00 New York of the day before."""
    local = _stamps(stamps).dt.convert_time_zone(NEW_YORK).dt.replace_time_zone(None).dt.offset_by("7h")
    return np.asarray(local.dt.epoch("us").to_numpy() // (DAY * SECOND), dtype=np.int64)


def new_york_closes(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """17:00 New York of each day (in days since 1970), microseconds UTC: the end of an FX trading day."""
    local = _stamps((days * DAY + 17 * 3_600) * SECOND).dt.replace_time_zone(None)
    return np.asarray(local.dt.replace_time_zone(NEW_YORK).dt.epoch("us").to_numpy(), dtype=np.int64)


def _stamps(microseconds: NDArray[np.int64]) -> pl.Series:
    return pl.Series(microseconds, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
