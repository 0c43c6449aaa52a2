"""Which column of a file is what: names in any spelling, separators, files without a heading."""

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ktrdr.errors import DataRefused

SPELLINGS = {
    "time": ("time", "date", "datetime", "timestamp", "gmttime", "utctime", "opentime", "datetimeutc", "t", "ts"),
    "clock": ("clock", "hour", "timeofday"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice", "max"),
    "low": ("low", "l", "lowprice", "min"),
    "close": ("close", "c", "closeprice", "last", "price"),
    "adjusted": ("adjclose", "adjustedclose", "closeadj", "adjcloseprice"),
    "volume": ("volume", "vol", "v", "tickvol", "tickvolume", "realvolume"),
}
NEEDED = ("time", "open", "high", "low", "close")


def read_table(path: Path) -> pl.DataFrame:
    """A CSV (also gzipped) or Parquet file as texts and numbers, columns named as in `SPELLINGS`."""
    try:
        frame = pl.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)
    except FileNotFoundError:
        raise DataRefused(f"there is no file {path}") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if frame.is_empty():
        raise DataRefused(f"{path} has no rows")
    return _named(frame, path)


def _read_csv(path: Path) -> pl.DataFrame:
    content = pl.read_csv(  # one column of whole lines: polars unpacks gzip and checks the encoding
        path, has_header=False, separator="\x01", quote_char=None, truncate_ragged_lines=True
    ).to_series()
    lines = [str(line) for line in content.head(5)]
    separator = max(",;\t|", key=lambda mark: min((line.count(mark) for line in lines), default=0))
    heading = any(part.strip().strip("<>\"'").isidentifier() for part in lines[0].split(separator))
    text = "\n".join(content.to_list()).lstrip("\ufeff")
    frame = pl.read_csv(
        io.StringIO(text),
        separator=separator,
        has_header=heading,
        infer_schema_length=None,
        null_values=["", "NaN", "null"],
    )
    return frame if heading else _without_heading(frame, path)


def _without_heading(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """time, open, high, low, close, volume in their usual order; a date and a time of day in two columns before."""
    two = frame.width > 1 and frame.dtypes[1] == pl.String
    names = ["time", "clock"] if two else ["time"]
    names += ["open", "high", "low", "close", "volume"]
    if frame.width < len(names) - 1:
        raise DataRefused(
            f"{path} has {frame.width} columns and no heading: add one (time, open, high, low, close, volume)"
        )
    return frame.select(frame.columns[: len(names)]).rename(dict(zip(frame.columns, names, strict=False)))


def _named(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    plain = {column: "".join(mark for mark in column.lower() if mark.isalnum()) for column in frame.columns}
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
