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
    """The close of each bar, microseconds UTC: its open plus its length; of FX days and longer, the later of that
    and 17:00 New York, where its session ends. (An exchange's session ends within the day anyway.)"""
    if timeframe.seconds is None:
        months = int(timeframe.name[:-1])
        closes = _stamps(opens).dt.offset_by(f"{months}mo").dt.epoch("us").to_numpy().astype(np.int64)
    else:
        closes = opens + np.int64(timeframe.seconds * SECOND)
    if calendar != "fx" or timeframe.length < DAY:
        return closes
    return np.asarray(np.maximum(closes, _session_ends(opens)), dtype=np.int64)


def _session_ends(opens: NDArray[np.int64]) -> NDArray[np.int64]:
    """17:00 New York on the trading day that each instant belongs to; a trading day begins at 17:00 the day before."""
    local = _stamps(opens).dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    ends = local.dt.offset_by("7h").dt.truncate("1d").dt.offset_by("17h")
    return np.asarray(ends.dt.replace_time_zone("America/New_York").dt.epoch("us").to_numpy(), dtype=np.int64)


def _stamps(microseconds: NDArray[np.int64]) -> pl.Series:
    return pl.Series(microseconds, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
