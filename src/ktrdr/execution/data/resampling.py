"""Bars of a longer timeframe made of shorter ones: left-closed, left-labelled, no empty bar, and only bars that have
ended.

A shorter bar belongs to the longer one in which it opens. One that would close behind it, or lies outside the sessions
of days, is left out and counted: no bar shows what was not known at its close.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import DataRefused
from ktrdr.execution.data.bars import Bars, Resampling, instant
from ktrdr.execution.data.bins import NOWHERE, bins_of
from ktrdr.execution.data.timeframes import DAY, SECOND, Timeframe, bar_closes, trading_days

MOST_ACROSS = 0.01
"""The share of bars that may lie across the ends of longer ones; more of them are another clock, not an accident."""

SESSION_BREAK = 4 * 3_600 * SECOND
"""A pause of an exchange this long is no hole."""


def divides(shorter: Timeframe, longer: Timeframe) -> bool:
    """Whether bars of the one fill bars of the other without a rest: 1h does 4h, days do weeks and months, and weeks no
    months."""
    if shorter.seconds is None:
        return longer.seconds is None and longer > shorter and _months(longer) % _months(shorter) == 0
    if longer.seconds is None or longer.seconds >= DAY:
        whole = longer.seconds or DAY
        return shorter < longer and whole % shorter.seconds == 0 and DAY % min(shorter.seconds, DAY) == 0
    return shorter < longer and longer.seconds % shorter.seconds == 0 and DAY % longer.seconds == 0


def _months(timeframe: Timeframe) -> int:
    return int(timeframe.name[:-1])


def resampled(bars: Bars, timeframe: Timeframe) -> Bars:
    """The bars as bars of a longer timeframe that they divide. The last one is there only if it has ended by the close
    of the last shorter bar. Raises DataRefused when the shorter bars lie across the ends of the longer ones."""
    opens = bins_of(bars.time, bars, timeframe)
    rows = np.flatnonzero(opens != NOWHERE)
    ends = bar_closes(opens[rows], timeframe, bars.calendar)
    across = bars.closes[rows] > ends
    if across.sum() > MOST_ACROSS * len(bars):
        first = instant(bars.time[rows[across][0]])
        raise DataRefused(
            f"the {bars.timeframe.name} bars of {bars.symbol} lie across the ends of {timeframe.name} bars (the one of"
            f" {first:%Y-%m-%d %H:%M} UTC, for one): import bars of {timeframe.name}, or shorter ones"
        )
    left_out = len(bars) - len(rows) + int(across.sum())
    ended = ends <= (bars.closes[-1] if len(bars) else 0)
    rows = rows[~across & ended]
    made = _joined(bars, rows, opens[rows], timeframe)
    return replace(made, resampling=Resampling(bars.timeframe.name, _missing(bars, made), left_out))


def _joined(bars: Bars, rows: NDArray[np.int64], opens: NDArray[np.int64], timeframe: Timeframe) -> Bars:
    """One bar of each run of rows with one open."""
    starts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1]))) if len(rows) else rows
    lasts = np.append(starts[1:], len(rows)) - 1 if len(rows) else rows

    def each(how: np.ufunc, column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(how.reduceat(column[rows], starts)) if len(rows) else np.empty(0)

    return Bars(
        bars.symbol,
        timeframe,
        bars.calendar,
        opens[starts],
        bars.open[rows[starts]],
        each(np.maximum, bars.high),
        each(np.minimum, bars.low),
        bars.close[rows[lasts]],
        each(np.add, bars.volume),
    )


def _missing(bars: Bars, made: Bars) -> NDArray[np.int64]:
    """How many shorter bars are missing inside each longer one."""
    holes = missing_stamps(bars)
    holes = bins_of(holes, bars, made.timeframe) if len(holes) else holes
    places = np.searchsorted(made.time, holes)
    there = np.append(made.time, NOWHERE)[places] == holes  # a bar with nothing in it is not there at all
    return np.bincount(places[there & (holes != NOWHERE)], minlength=len(made)).astype(np.int64)


def missing_stamps(bars: Bars) -> NDArray[np.int64]:
    """Where bars are missing between two that are there: around the clock anywhere, else on one trading day. (What is
    missing at the edge of a session only its calendar knows: `check` counts it.)"""
    if len(bars) < 2 or bars.timeframe.seconds is None:
        return np.empty(0, dtype=np.int64)
    step = bars.timeframe.seconds * SECOND
    gaps = np.diff(bars.time)
    if bars.calendar == "fx":
        gaps = np.where(np.diff(trading_days(bars.time)) == 0, gaps, 0)
    elif bars.calendar != "24/7":
        gaps = np.where(gaps < SESSION_BREAK, gaps, 0)
    counts = np.maximum(gaps // step - 1, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(bars.time[which] + (nth + 1) * step, dtype=np.int64)


def resampling_notice(bars: Bars) -> str | None:
    """What a reader should know of bars that are not stored as they are; None for those that are."""
    if bars.resampling is None:
        return None
    made, holes = bars.resampling, int(bars.resampling.missing.sum())
    said = f"{bars.symbol} {bars.timeframe.name} is resampled from {made.source}"
    if holes:
        places = np.count_nonzero(made.missing)
        said += f"; {holes:,} bars of {made.source} are missing in {places:,} of its {len(bars):,}"
    if made.left_out:
        said += f"; {made.left_out:,} bars of {made.source} outside its sessions or across its ends were left out"
    return said
