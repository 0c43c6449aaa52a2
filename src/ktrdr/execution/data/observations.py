"""From a CSV or Parquet file to observations: values, each with the moment at which it was known.

That moment is the file's own column `known_at`, or the end of the value's period and the publication lag that the
importer declares. What the file leaves open (which column, starts or ends of periods) is asked, never guessed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.contracts.bars import Finding, SeriesImport
from ktrdr.errors import DataRefused, InvalidRequest
from ktrdr.execution.data.bars import Bars, check_symbol, instant
from ktrdr.execution.data.columns import SPELLINGS, plain_name, read_frame
from ktrdr.execution.data.lags import FRIDAY, IN_STRATEGY, KNOWN_AT, known_on_friday, parse_lag
from ktrdr.execution.data.timeframes import DAY, OBSERVED, SECOND, Timeframe, later, parse_timeframe
from ktrdr.execution.data.times import open_stamps

TIMES = (*SPELLINGS["time"], "observationdate", "period", "asofdate", "reportdate")
KNOWN = ("knownat", "publishedat", "releasedat", "availableat")
FREQUENCIES = {"daily": "1d", "weekly": "1w", "monthly": "1M", "quarterly": "3M", "yearly": "12M", "annual": "12M"}
_STEPS = (("1d", 1, 1), ("1w", 7, 7), ("1M", 28, 31), ("3M", 89, 92), ("12M", 365, 366))
"""Names and the days, from and to, that lie between two stamps of such a series."""


def read_observations(path: Path, said: SeriesImport) -> tuple[Bars, str, list[Finding]]:
    """The observations of a file as bars, the lag that they were stored with, and everything that was found.

    Raises DataRefused when the file cannot be read for certain, InvalidRequest when something has to be said.
    """
    name = check_symbol(said.name)
    table = _table(path, said)
    stamps, findings = open_stamps(table, said.timezone)
    frame = table.with_columns(stamps.alias("time"))
    frame, dropped = _clean(frame.filter(pl.col("time").is_not_null()), said)
    if len(frame) < 2:
        raise DataRefused(f"{path} has {len(frame)} usable observations: at least 2 are needed")
    time = np.ascontiguousarray(frame["time"].to_physical().to_numpy(), dtype=np.int64)
    every = _frequency(path, time, said.frequency)
    known, lag = _known(frame, time, every, name, said)
    ordered = np.maximum.accumulate(known)
    value = np.ascontiguousarray(frame["value"].to_numpy(), dtype=np.float64)
    bars = Bars(name, every, OBSERVED, ordered, value, value, value, value, np.zeros(len(value)))
    read = [finding.model_copy(update={"message": finding.message.replace("bars", "values")}) for finding in findings]
    return bars, lag, [*read, *dropped, *_of_order(int((ordered != known).sum()))]


def check_observations(bars: Bars, lag: str | None) -> list[Finding]:
    """What is odd about stored observations: stretches without any, and a lag that nobody has said yet."""
    holes = np.flatnonzero(np.diff(bars.time) > bars.valid_for)
    examples = [f"{instant(bars.time[at]):%Y-%m-%d}" for at in holes[:3]]
    message = (
        f"times nothing was known for longer than values of {bars.timeframe.name} stand: inputs are undefined there"
    )
    found = [_found("gaps", "warning", len(holes), message, examples)]
    if lag == IN_STRATEGY:
        message = "values without a publication lag: each strategy has to say it (publication_lag), or is refused"
        found.append(_found("no_lag", "warning", len(bars), message))
    return [finding for finding in found if finding]


def _table(path: Path, said: SeriesImport) -> pl.DataFrame:
    """The columns time, value and, where the file has it, known_at."""
    frame = read_frame(path)
    plain = {column: plain_name(column) for column in frame.columns}
    time = next((column for spelling in TIMES for column in frame.columns if plain[column] == spelling), None)
    known = next((column for column in frame.columns if plain[column] in KNOWN), None)
    if time is None:
        raise DataRefused(f"{path} has no column of times (there: {', '.join(frame.columns)}): name one `date`")
    rest = [column for column in frame.columns if column not in (time, known)]
    value = _value_column(path, rest, said.column)
    chosen = {"time": time, "value": value} | ({"known_at": known} if known else {})
    return frame.select([pl.col(column).alias(name) for name, column in chosen.items()])


def _value_column(path: Path, columns: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        matches = [column for column in columns if column == wanted or plain_name(column) == plain_name(wanted)]
        if matches:
            return matches[0]
    elif len(columns) == 1:
        return columns[0]
    raise InvalidRequest(
        f"{path} has {len(columns)} columns of values, {', '.join(columns) or 'none'}: say which one with --column"
    )


def _clean(frame: pl.DataFrame, said: SeriesImport) -> tuple[pl.DataFrame, list[Finding]]:
    """Finite values in the order of their stamps, one each. Of two with one stamp the first known is kept, what came
    later being a revision; where nobody says when they were known, the later line."""
    read = frame.with_columns(pl.col("value").cast(pl.Float64, strict=False))
    bad = frame["value"].filter(read["value"].is_null() & frame["value"].is_not_null())
    if len(bad):
        raise DataRefused(f"{len(bad)} values are no numbers, such as {bad[0]!r}: write them with a point for decimals")
    there = read.filter(pl.col("value").is_finite().fill_null(False))
    findings = [_found("missing", "info", len(read) - len(there), "lines without a value were passed over")]
    if "known_at" in there.columns:
        moments = open_stamps(there.select(time="known_at"), said.timezone)[0]
        there = there.with_columns(_end_of_dates(moments).alias("known_at")).filter(pl.col("known_at").is_not_null())
        once = there.sort("time", "known_at", maintain_order=True).unique("time", keep="first", maintain_order=True)
        message = "revisions were left out: of each period the value that was known first is kept"
    else:
        once = there.sort("time", maintain_order=True).unique("time", keep="last", maintain_order=True)
        message = "values with one stamp: the last was kept"
    findings.append(_found("conflicts", "warning", len(there) - len(once), message))
    return once, [finding for finding in findings if finding]


def _end_of_dates(moments: pl.Series) -> pl.Series:
    """A column of dates tells the day on which values were known, not the hour: the end of it."""
    midnights = bool(((moments.to_physical() % (DAY * SECOND)) == 0).fill_null(True).all())
    return moments.dt.offset_by("1d") if midnights else moments


def _frequency(path: Path, time: NDArray[np.int64], said: str | None) -> Timeframe:
    """How long a period is: as said, or the commonest step of the stamps."""
    if said:
        return parse_timeframe(FREQUENCIES.get(said.strip().lower(), said))
    steps, counts = np.unique(np.diff(time), return_counts=True)
    days = float(steps[counts.argmax()]) / (DAY * SECOND)
    for name, least, most in _STEPS:
        if least <= days <= most:
            return parse_timeframe(name)
    raise InvalidRequest(
        f"the values of {path} are {days:.3g} days apart: say --frequency (daily, weekly, monthly, quarterly, yearly)"
    )


def _known(
    frame: pl.DataFrame, time: NDArray[np.int64], every: Timeframe, name: str, said: SeriesImport
) -> tuple[NDArray[np.int64], str]:
    """When each value was known, and by which rule."""
    if "known_at" in frame.columns:
        return np.ascontiguousarray(frame["known_at"].to_physical().to_numpy(), dtype=np.int64), KNOWN_AT
    if said.lag is None:
        if name.startswith("cot_"):
            return known_on_friday(time), FRIDAY
        raise InvalidRequest(
            f"nobody says when the values of {name} were known: add a column known_at to the file, or say --lag, how"
            " long after the end of its period a value is published (1d, 6w; `strategy` where strategies say it)"
        )
    ends = _period_ends(time, every, name, said)
    return (ends, IN_STRATEGY) if said.lag == IN_STRATEGY else (ends + parse_lag(said.lag), said.lag)


def _period_ends(time: NDArray[np.int64], every: Timeframe, name: str, said: SeriesImport) -> NDArray[np.int64]:
    """A date is a day, and ends with it; other periods end as the importer says that they are stamped."""
    if said.stamped == "start":
        return later(time, every)
    dates = _are_dates(time, said.timezone)
    if said.stamped is None and not (dates and every.seconds == DAY):
        raise InvalidRequest(
            f"the periods of {name} are {every.name} long: say whether they are stamped with their start or their end"
            " (--stamped start or --stamped end; the months of FRED are stamped with their start)"
        )
    return later(time, parse_timeframe("1d")) if dates else time


def _are_dates(time: NDArray[np.int64], timezone: str | None) -> bool:
    stamps = pl.Series(time).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(timezone or "UTC")
    return bool((stamps.dt.replace_time_zone(None).to_physical() % (DAY * SECOND) == 0).all())


def _of_order(count: int) -> list[Finding]:
    message = "values were known before an earlier one was: they wait for it"
    found = _found("order", "warning", count, message)
    return [found] if found else []


def _found(check: str, severity: str, count: int, message: str, examples: Sequence[str] = ()) -> Finding | None:
    if not count:
        return None
    told = {"check": check, "severity": severity, "count": count, "message": message, "examples": list(examples)}
    return Finding.model_validate(told)
