"""From a CSV or Parquet file to bars: columns, times, symbol, timeframe and calendar are detected, oddities counted."""

import re
from pathlib import Path

import numpy as np
import polars as pl

from ktrdr.contracts.bars import Finding
from ktrdr.errors import DataRefused, InvalidRequest, KtrdrError
from ktrdr.execution.data.bars import PRICES, Bars, check_symbol
from ktrdr.execution.data.calendars import check_calendar, detect_calendar
from ktrdr.execution.data.checks import clean
from ktrdr.execution.data.columns import read_table
from ktrdr.execution.data.timeframes import SECOND, Timeframe, parse_timeframe
from ktrdr.execution.data.times import open_stamps

_COMMON = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "1w")


def read_bars(
    path: Path,
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    timezone: str | None = None,
    calendar: str | None = None,
) -> tuple[Bars, list[Finding]]:
    """The bars of a file and everything that was found on the way; what is not given is detected."""
    table = read_table(path)
    stamps, findings = open_stamps(table, timezone)
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
    return bars, [*findings, *adjusted, *dropped, *_other_zone(bars, timezone)]


def _numbers(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if "volume" not in frame.columns:
        frame = frame.with_columns(pl.lit(0.0).alias("volume"))
    numbers = [name for name in frame.columns if name != "time"]
    try:
        frame = frame.with_columns(pl.col(numbers).cast(pl.Float64))
    except pl.exceptions.PolarsError:
        raise DataRefused(f"{path} has prices that are no numbers: use a point for decimals") from None
    return frame.with_columns(pl.col("volume").fill_null(0.0).fill_nan(0.0))


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
    """Symbol and timeframe: given, or of the file's name (EURUSD_1h.csv), the timeframe else of the commonest step."""
    stem = path.name.split(".")[0]
    parts = [part for part in re.split(r"[_\- ]+", stem) if part]
    lengths = {part for part in parts if _timeframe_or_none(part)}
    own = symbol or next((part for part in parts if part not in lengths), stem)
    steps = frame["time"].diff().drop_nulls().dt.total_microseconds()
    step = int(steps.mode().sort()[0])
    if timeframe:
        return check_symbol(own), parse_timeframe(timeframe)
    detected = next((name for name in _COMMON if parse_timeframe(name).seconds == step // SECOND), None)
    if 27 * 86_400 <= step // SECOND <= 31 * 86_400:
        detected = "1M"
    if detected is None:
        raise InvalidRequest(f"the bars of {path} are {step // SECOND} seconds apart: say --timeframe, such as 1h")
    return check_symbol(own), parse_timeframe(detected)


def _timeframe_or_none(text: str) -> Timeframe | None:
    if not text[0].isdigit():
        return None
    try:
        return parse_timeframe(text)
    except KtrdrError:
        return None


def _other_zone(bars: Bars, timezone: str | None) -> list[Finding]:
    """Hours that look like New York's own clock, in a file whose times were taken as UTC."""
    if timezone is not None or bars.calendar != "XNYS" or bars.timeframe.length >= 86_400:
        return []
    seconds = bars.time // SECOND % 86_400
    begins, ends = int(np.quantile(seconds, 0.02)), int(np.quantile(seconds, 0.98))
    if not (9 * 3_600 <= begins <= 10 * 3_600 and ends <= 16 * 3_600):
        return []
    message = "bars look stamped in New York time but were read as UTC: import again with --timezone America/New_York"
    return [Finding(check="timezone", severity="warning", count=len(bars), message=message)]
