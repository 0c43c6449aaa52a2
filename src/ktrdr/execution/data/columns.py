"""Which column of a file is what: names in any spelling, separators, files without a heading."""

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from ktrdr.errors import DataRefused

SPELLINGS = {
    "time": (
        *("time", "date", "datetime", "timestamp", "gmttime", "utctime", "localtime", "opentime", "datetimeutc"),
        *("dateutc", "dateandtime", "timestamputc", "unixtime", "unix", "epoch", "t", "ts"),
    ),
    "clock": ("clock", "hour", "timeofday"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice", "max"),
    "low": ("low", "l", "lowprice", "min"),
    "close": ("close", "c", "closeprice", "last", "price"),
    "adjusted": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice"),
    "volume": ("volume", "vol", "v", "tickvol", "tickvolume", "realvolume"),
}
NEEDED = ("time", "open", "high", "low", "close")
MOST_BYTES, MOST_ROWS = 2_000_000_000, 50_000_000
"""Of a file once it is unpacked, which a small one may hide; a year of one-minute bars has 30 MB and 500,000 rows."""
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_NOTHING = ["", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a", "-", "."]


def read_table(path: Path) -> pl.DataFrame:
    """The bars of a file as a table, columns named as in `SPELLINGS`. Raises DataRefused when a column is missing."""
    return _named(read_frame(path), path)


def read_frame(path: Path) -> pl.DataFrame:
    """A CSV (also gzipped; UTF-8 or UTF-16) or Parquet file; the columns of a CSV are texts.

    Raises DataRefused when it cannot be read as a table, or has no rows.
    """
    try:
        frame = _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)
    except FileNotFoundError:
        raise DataRefused(f"there is no file {path}") from None
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
        EOFError,
        zlib.error,
        UnicodeError,
    ) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataRefused(f"{path} cannot be read as a table, CSV or Parquet: {reason}") from None
    if frame.is_empty():
        raise DataRefused(f"{path} has no rows")
    return frame


def plain_name(column: str) -> str:
    """A column's name without case, marks and leading digits."""
    return "".join(mark for mark in column.lower() if mark.isalnum()).lstrip("0123456789")


def _read_parquet(path: Path) -> pl.DataFrame:
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    if rows > MOST_ROWS:
        raise DataRefused(f"{path} has {rows:,} rows: import at most {MOST_ROWS:,} at a time")
    return pl.read_parquet(path)


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataRefused(f"{path} holds more than {MOST_BYTES:,} bytes once it is unpacked: import it in parts")
    return content


def _read_csv(path: Path) -> pl.DataFrame:
    """Every column as text: a time of day such as 000500 keeps its zeros, and a bad price can be shown."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(path)
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = content.decode("utf-16" if utf16 else "utf-8-sig")
    lines = list(islice((line for line in text[:20_000].splitlines() if line.strip()), 5))
    if not lines:
        raise DataRefused(f"{path} has no rows")
    separator = max(",;\t|", key=lambda mark: min(line.count(mark) for line in lines))
    heading = not any(_NUMBER.fullmatch(part.strip("\"' ")) for part in lines[0].split(separator))
    frame = pl.read_csv(
        io.BytesIO(text.lstrip().encode()),
        separator=separator,
        has_header=heading,
        infer_schema=False,
        null_values=_NOTHING,
        truncate_ragged_lines=True,
    )
    frame = frame.with_columns(pl.all().str.strip_chars())
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame if heading or frame.is_empty() else _without_heading(frame, path)


def _without_heading(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """time, open, high, low, close, volume in their usual order; a date and a time of day in two columns before."""
    first, second = (str(frame[0, at]) if at < frame.width else "" for at in (0, 1))
    dated = re.fullmatch(r"\d{8}", first) and re.fullmatch(r"\d{4}(\d\d)?", second)
    two = dated or re.match(r"\d{1,2}:\d\d", second)
    names = ["time", "clock"] if two else ["time"]
    names += ["open", "high", "low", "close", "volume"]
    if frame.width < len(names) - 1:
        raise DataRefused(
            f"{path} has {frame.width} columns and no heading: add one (time, open, high, low, close, volume; for a"
            " series of values: date, value)"
        )
    return frame.select(frame.columns[: len(names)]).rename(dict(zip(frame.columns, names, strict=False)))


def _named(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    plain = {column: plain_name(column) for column in frame.columns}
    chosen: dict[str, str] = {}
    for name, spellings in SPELLINGS.items():
        matches = [column for spelling in spellings for column in frame.columns if plain[column] == spelling]
        if matches and matches[0] not in chosen.values():
            chosen[name] = matches[0]
    if _date_and_time(plain):  # two columns: MetaTrader's <DATE> and <TIME>
        chosen["time"], chosen["clock"] = _date_and_time(plain)
    missing = [name for name in NEEDED if name not in chosen]
    if missing:
        there = ", ".join(frame.columns)
        raise DataRefused(f"{path} has no column for {', '.join(missing)} (there: {there}): rename the columns")
    return frame.select([pl.col(column).alias(name) for name, column in chosen.items()])


def _date_and_time(plain: dict[str, str]) -> Sequence[str]:
    by_name = {spelling: column for column, spelling in plain.items()}
    return (by_name["date"], by_name["time"]) if {"date", "time"} <= set(by_name) else ()
