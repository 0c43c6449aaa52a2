"""What may be wrong with bars, each kind counted, shown with examples, and with what was done about it."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.contracts.bars import Finding
from ktrdr.execution.data.bars import PRICES, Bars, instant
from ktrdr.execution.data.calendars import ALWAYS, FX, expected_opens
from ktrdr.execution.data.jumps import split_like_jumps
from ktrdr.execution.data.sessions import carried_opens, session_breaks
from ktrdr.execution.data.timeframes import SECOND

EXAMPLES = 3
STALE_RUN = 10
"""Bars in a row with one and the same price that are worth a word."""


def clean(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Rows in order, once each, with prices that can be; everything sorted out or dropped is found and counted.

    Nothing is filled in. Of two different bars with one stamp the later line is kept.
    """
    findings: list[Finding | None] = []
    disorder = frame["time"].diff().dt.total_microseconds().fill_null(1) < 0
    findings.append(_finding("order", "warning", frame["time"], disorder, "bars out of order were sorted"))
    frame = frame.sort("time", maintain_order=True)
    same = frame.is_duplicated()
    once = frame.unique(maintain_order=True, keep="last")
    findings.append(
        _count("duplicates", "info", len(frame) - len(once), frame.filter(same)["time"], "repeated bars were dropped")
    )
    conflict = once["time"].is_duplicated()
    last = once.unique("time", keep="last", maintain_order=True)
    message = "bars with one stamp and different values: the last was kept"
    findings.append(_count("conflicts", "warning", len(once) - len(last), once.filter(conflict)["time"], message))
    impossible = _impossible(last)
    message = "bars with missing, infinite or non-positive prices, or a high or low inside the body, were dropped"
    findings.append(_finding("impossible", "warning", last["time"], impossible, message))
    return last.filter(~impossible), [finding for finding in findings if finding]


def _impossible(frame: pl.DataFrame) -> pl.Series:
    prices = [pl.col(name) for name in PRICES]
    bad_number = pl.any_horizontal([~price.is_finite() | (price <= 0) | price.is_null() for price in prices])
    body_high, body_low = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    slack = 1e-9 * body_high
    outside = (pl.col("high") < body_high - slack) | (pl.col("low") > body_low + slack)
    return frame.select((bad_number | outside).fill_null(True).alias("bad"))["bad"]


def check(bars: Bars) -> list[Finding]:
    """What is odd about clean bars: holes, strangers to the calendar, jumps, carried opens, flat and empty bars."""
    found: Iterable[Finding | None] = (
        _off_step(bars),
        *_against_calendar(bars),
        _jumps(bars),
        _carried_opens(bars),
        _stale(bars),
        _found("zero_volume", "info", bars, np.flatnonzero(bars.volume <= 0), "bars have no volume"),
    )
    return [finding for finding in found if finding]


def _off_step(bars: Bars) -> Finding | None:
    step = int(bars.timeframe.length) * SECOND
    if bars.timeframe.seconds is None or bars.timeframe.length > 86_400 or len(bars) < 3:
        return None
    steps = np.diff(bars.time)
    shift = 3_600 * SECOND if bars.timeframe.length == 86_400 else 0  # a local midnight moves with the summer time
    short = np.flatnonzero(steps < step - shift) + 1
    if len(short):
        message = f"bars open less than {bars.timeframe.name} after the one before"
        return _found("time_step", "error", bars, short, message)
    found, counts = np.unique(steps, return_counts=True)
    commonest = int(found[counts.argmax()])
    if commonest == step:
        return None
    message = f"steps are longer than {bars.timeframe.name}: most are {commonest // SECOND} seconds"
    return _found("time_step", "warning", bars, np.flatnonzero(steps > step) + 1, message)


def _against_calendar(bars: Bars) -> list[Finding | None]:
    expected = expected_opens(bars.time, bars.timeframe, bars.calendar)
    missing = np.setdiff1d(expected, bars.time)
    strangers = np.flatnonzero(~np.isin(bars.time, expected))
    share = len(missing) / max(1, len(expected))
    holes = np.count_nonzero(np.diff(np.searchsorted(expected, missing)) != 1) + 1 if len(missing) else 0
    gaps = _stamped(
        "gaps",
        "warning" if share > 0.02 else "info",
        missing,
        f"bars are missing in {holes} gaps ({share:.1%} of what the calendar {bars.calendar} expects)",
    )
    outside = _found("outside_sessions", "info", bars, strangers, f"bars lie outside the sessions of {bars.calendar}")
    return [gaps, outside]


def _jumps(bars: Bars) -> Finding | None:
    message = "jumps look like share splits that nobody adjusted for: training on them is refused"
    return _found("splits", "error", bars, split_like_jumps(bars), message)


def _carried_opens(bars: Bars) -> Finding | None:
    """Opens that are the last close although the market was shut between: nobody could trade there."""
    if bars.calendar == ALWAYS or len(bars) < 2:
        return None
    carried = carried_opens(bars)
    share = carried.sum() / max(1, session_breaks(bars).sum())
    if share < 0.25 and bars.calendar != FX:
        return None
    message = f"opens after a session break are the close before it ({share:.0%} of the breaks)"
    return _found("carried_opens", "info", bars, np.flatnonzero(carried), message)


def _stale(bars: Bars) -> Finding | None:
    flat = (bars.high == bars.low) & (np.diff(bars.close, prepend=np.nan) == 0)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat.view(np.int8), [0]))))
    runs = [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if stop - start >= STALE_RUN]
    rows = np.concatenate([np.arange(*run) for run in runs]) if runs else np.empty(0, dtype=np.int64)
    return _found("stale", "warning", bars, rows, f"bars stand still for {STALE_RUN} bars or more")


def _found(check: str, severity: str, bars: Bars, rows: NDArray[np.int64], message: str) -> Finding | None:
    return _stamped(check, severity, bars.time[rows], message)


def _stamped(check: str, severity: str, stamps: NDArray[np.int64], message: str) -> Finding | None:
    if not len(stamps):
        return None
    examples = [f"{instant(stamp):%Y-%m-%d %H:%M}" for stamp in stamps[:EXAMPLES]]
    return Finding.model_validate(
        {"check": check, "severity": severity, "count": len(stamps), "message": message, "examples": examples}
    )


def _finding(check: str, severity: str, time: pl.Series, which: pl.Series, message: str) -> Finding | None:
    return _count(check, severity, int(which.sum()), time.filter(which), message)


def _count(check: str, severity: str, count: int, stamps: pl.Series, message: str) -> Finding | None:
    if not count:
        return None
    examples = [stamp.strftime("%Y-%m-%d %H:%M") for stamp in stamps.head(EXAMPLES) if stamp is not None]
    return Finding.model_validate(
        {"check": check, "severity": severity, "count": count, "message": message, "examples": examples}
    )
