"""Publication lags: how long after the end of its period an observation was known. Never nothing."""

import re
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InvalidRequest
from ktrdr.execution.data.timeframes import NEW_YORK, SECOND

IN_STRATEGY: Final = "strategy"
"""The lag of a series whose strategies say it."""
KNOWN_AT: Final = "known_at"
"""The lag of a series whose file has a column of moments."""
FRIDAY: Final = "Friday 15:30 New York"
"""The lag of positions as of a Tuesday (Commitments of Traders)."""

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_FORM = re.compile(r"(?:\d{1,4}[mhdw]\s*)+")
_PART = re.compile(r"(\d{1,4})([mhdw])")


def parse_lag(text: str) -> int:
    """Microseconds of a spelling such as 1d, 36h, 2d20h or 6w; raises InvalidRequest for others, and for none."""
    plain = text.strip().lower()
    length = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(plain)) if _FORM.fullmatch(plain) else 0
    if length == 0:
        raise InvalidRequest(
            f"{text!r} is no publication lag: write how long after the end of its period a value is published, such as"
            " 1d, 36h, 2d20h or 6w (m, h, d, w)"
        )
    return length * SECOND


def known_on_friday(stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """15:30 New York of the first Friday after the day of each stamp: when the positions of a Tuesday are published."""
    days = stamps // (86_400 * SECOND)
    weekday = (days + 3) % 7  # Monday is 0
    ahead = (4 - weekday - 1) % 7 + 1
    local = pl.Series(((days + ahead) * 86_400 + 15 * 3_600 + 30 * 60) * SECOND).cast(pl.Datetime("us"))
    return np.asarray(local.dt.replace_time_zone(NEW_YORK).dt.epoch("us").to_numpy(), dtype=np.int64)


def with_lag(known: NDArray[np.int64], stored: str | None, wanted: str | None) -> NDArray[np.int64]:
    """The moments at which observations were known with another lag than they were stored with; those that the file
    tells itself stay. (A series stored without a lag has the ends of its periods.)"""
    if wanted is None or stored in (KNOWN_AT, FRIDAY, None):
        return known
    before = 0 if stored == IN_STRATEGY else parse_lag(stored)
    return known + (parse_lag(wanted) - before)
