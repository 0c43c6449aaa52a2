"""From a CSV or Parquet file to bars: columns, times, symbol, timeframe and calendar are detected, oddities counted.

What is detected can be wrong, so that each of it can be said instead; a file that leaves it open is refused with a
sentence, never guessed.
"""

import re
from pathlib import Path

import numpy as np
import polars as pl

from ktrdr.contracts.bars import Finding
from ktrdr.errors import DataRefused, InvalidRequest
from ktrdr.execution.data.bars import PRICES, Bars, check_symbol
from ktrdr.execution.data.calendars import check_calendar, detect_calendar
from ktrdr.execution.data.checks import clean
from ktrdr.execution.data.columns import read_table
from ktrdr.execution.data.timeframes import SECOND, Timeframe, parse_timeframe
from ktrdr.execution.data.times import DateOrder, open_stamps
from ktrdr.execution.data.zones import clock_findings

_ENDINGS = re.compile(r"(\.(csv|txt|tsv|gz|parquet|pq))+$", re.IGNORECASE)
_SERIES = re.compile(r"(.+?)[_\- ]([1-9]\d?(?:m|h|d|w|mo|min))(?:[_\- ].*)?", re.IGNORECASE)
_COMMON = ("1m", "2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "1w")


def read_bars(
    path: Path,
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    timezone: str | None = None,
    calendar: str | None = None,
    date_order: DateOrder | None = None,
) -> tuple[Bars, list[Finding]]:
    """The bars of a file and everything that was found on the way; what is not given is detected.

    Raises DataRefused when the file cannot be read for certain, InvalidRequest and InvalidName when what is said, or
    its name, cannot be.
    """
    table = read_table(path)
    stamps, findings = open_stamps(table, timezone, date_order)
    frame = table.with_columns(stamps.alias("time")).drop("clock", strict=False).filter(pl.col("time").is_not_null())
    frame, adjusted = _adjusted(_numbers(frame, path))
    frame, dropped = clean(frame)
    if len(frame) < 2:
        raise DataRefused(f"{path} has {len(frame)} usable bars: at least 2 are needed")
    name, length = _identity(path, frame, symbol, timeframe)
    time = np.ascontiguousarray(frame["time"].to_physical().to_numpy(), dtype=np.int64)
    columns = [np.ascontiguousarray(frame[column].to_numpy(), dtype=np.float64) for column in (*PRICES, "volume")]
    market = check_calendar(calendar) if calendar else detect_calendar(time, length)
    bars = Bars(name, length, market, time, *columns)
    return bars, [*findings, *adjusted, *dropped, *clock_findings(bars, timezone), *_otherwise_named(path, bars)]


def _numbers(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if "volume" not in frame.columns:
        frame = frame.with_columns(pl.lit(0.0).alias("volume"))
    numbers = [name for name in frame.columns if name != "time"]
    read = frame.with_columns(pl.col(numbers).cast(pl.Float64, strict=False))
    for name in numbers:
        bad = frame[name].filter(read[name].is_null() & frame[name].is_not_null())
        if len(bad):
            raise DataRefused(
                f"{path} has {len(bad)} values in {name} that are no numbers, such as {bad[0]!r}:"
                " write them with a point for decimals and no mark for thousands"
            )
    return read.with_columns(pl.col("volume").fill_null(0.0).fill_nan(0.0))


def _adjusted(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Prices scaled by adjusted close over close, where a file has both: splits and dividends then make no jumps."""
    if "adjusted" not in frame.columns:
        return frame, []
    factor = pl.col("adjusted") / pl.col("close")
    changed = int(frame.select(((factor - 1).abs() > 1e-6).sum()).item())
    frame = frame.with_columns([(pl.col(name) * factor).alias(name) for name in PRICES]).drop("adjusted")
    message = "bars were scaled by the file's adjusted close, for splits and dividends"
    found = Finding(check="adjusted", severity="info", count=changed, message=message)
    return frame, [found] if changed else []


def _identity(path: Path, frame: pl.DataFrame, symbol: str | None, timeframe: str | None) -> tuple[str, Timeframe]:
    """Symbol and timeframe: given, or the symbol of the file's name and the timeframe of the commonest step."""
    name = check_symbol(symbol or symbol_of(path))
    steps = frame["time"].diff().drop_nulls().dt.total_microseconds()
    step = int(steps.mode().sort()[0]) // SECOND
    detected = _of_step(step)
    said = parse_timeframe(timeframe) if timeframe else detected
    if said is None:
        raise InvalidRequest(f"the bars of {path} are {step} seconds apart: say --timeframe, such as 1h")
    if detected and detected < said:
        raise InvalidRequest(
            f"the bars of {path} are {detected.name} apart, so they are no {said.name} bars:"
            f" say --timeframe {detected.name}"
        )
    return name, said


def _of_step(seconds: int) -> Timeframe | None:
    if 27 * 86_400 <= seconds <= 31 * 86_400:
        return parse_timeframe("1M")
    return next((one for one in map(parse_timeframe, _COMMON) if one.seconds == seconds), None)


def symbol_of(path: Path) -> str:
    """EURUSD of EURUSD_1h.csv.gz: the file's name up to a timeframe in it, or all of it (BTC-USD.csv)."""
    stem = _ENDINGS.sub("", path.name)
    named = _SERIES.fullmatch(stem)
    return named[1] if named else stem


def _otherwise_named(path: Path, bars: Bars) -> list[Finding]:
    """A warning when the file's name tells another timeframe than the one its bars have."""
    named = _SERIES.fullmatch(_ENDINGS.sub("", path.name))
    if not named or parse_timeframe(named[2]) == bars.timeframe:
        return []
    message = f"bars are {bars.timeframe.name} bars by their steps, although the file's name says {named[2]}"
    return [Finding(check="timeframe", severity="warning", count=len(bars), message=message)]
