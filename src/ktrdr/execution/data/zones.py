"""Whether bars were stamped in another clock than UTC: markets open at known hours, and a wrong clock misses them."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.contracts.bars import Finding
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.calendars import FX, US_EQUITIES
from ktrdr.execution.data.timeframes import SECOND

NEW_YORK = "America/New_York"
ZONES = (
    *(NEW_YORK, "Etc/GMT+5", "America/Chicago", "Europe/London", "Europe/Berlin", "Europe/Athens"),
    *("Etc/GMT-2", "Etc/GMT-3", "Asia/Tokyo"),
)
"""Clocks that files are written in. Etc/GMT+5 is New York without summer time; Europe/Athens is near enough to the
servers of FX brokers, which put the week's start at Monday 00:00."""

FITS = 0.8
FEWEST = 4


def clock_findings(bars: Bars, timezone: str | None) -> list[Finding]:
    """A warning when bars read as UTC open at the market's hours only if another clock is meant."""
    if timezone is not None or bars.timeframe.length > 3_600 or bars.calendar not in (FX, US_EQUITIES):
        return []
    pause = (24 if bars.calendar == FX else 4) * 3_600 * SECOND
    opens = bars.time[np.flatnonzero(np.diff(bars.time) > pause) + 1]
    if len(opens) < FEWEST:
        return []
    fits = {zone: _share_at_open(opens, zone, bars.calendar) for zone in ("UTC", *ZONES)}
    best = max(fits, key=lambda zone: fits[zone])
    if fits["UTC"] >= FITS or fits[best] < FITS:
        return []
    message = f"bars look stamped in the clock of {best} but were read as UTC: import again with --timezone {best}"
    return [Finding(check="timezone", severity="warning", count=len(bars), message=message)]


def _share_at_open(opens: NDArray[np.int64], zone: str, calendar: str) -> float:
    """The share of openings at the market's own hour, if the stamps are read in `zone`.

    FX opens on Sunday at 17:00 New York; a bar of New York's exchanges opens at 9:30, or at 9:00 on the whole hour.
    """
    naive = pl.Series(opens).cast(pl.Datetime("us"))
    local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone(NEW_YORK)
    minutes = local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
    if calendar == FX:
        at_open = (local.dt.weekday() == 7) & minutes.is_between(17 * 60, 17 * 60 + 15)
    else:
        at_open = minutes.is_between(9 * 60, 9 * 60 + 30)
    return float(at_open.fill_null(False).mean() or 0.0)  # type: ignore[arg-type]
