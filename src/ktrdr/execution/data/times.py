"""When each bar of a file opened: epochs, ISO, and dates in either order, decided over the whole column."""

from typing import Literal

import polars as pl

from ktrdr.contracts.bars import Finding
from ktrdr.errors import DataRefused, InvalidRequest

DateOrder = Literal["day", "month"]

UTC_US = pl.Datetime("us", "UTC")
_EPOCHS = ((1e11, 1_000_000.0), (1e14, 1_000.0), (1e17, 1.0), (float("inf"), 0.001))
"""Epochs below each limit are seconds, ms, us, ns; the factor makes them microseconds."""

_CLOCKS = ("", *(f"{gap}{clock}" for gap in " T" for clock in ("%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%H%M%S", "%H%M")))
_HALF_DAYS = (" %I:%M %p", " %I:%M:%S %p")
_DAY_FIRST = tuple(f"%d{mark}%m{mark}%Y" for mark in "./-")
_MONTH_FIRST = tuple(f"%m{mark}%d{mark}%Y" for mark in "./-")
_YEAR_FIRST = ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d")
_ONLY_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_OFFSET = r":\d{2}(?:[.,]\d+)?\s*(?:GMT|UTC)?\s*(Z|GMT|UTC|[+-]\d{2}(?::?\d{2})?)$"


def open_stamps(
    frame: pl.DataFrame, timezone: str | None, date_order: DateOrder | None = None
) -> tuple[pl.Series, list[Finding]]:
    """The open stamps in UTC, microseconds; null where a row has no time, or a local time that does not exist or comes
    twice; and what was found.

    Raises DataRefused when the times cannot be read for certain, InvalidRequest when there is no such time zone.
    """
    column = frame["time"]
    if "clock" in frame.columns:
        column = (column.cast(pl.String) + " " + _clock_text(frame["clock"])).alias("time")
    given = column.drop_nulls()
    if given.is_empty():
        raise DataRefused("no row has a time: fill in the column of times")
    naive, findings = _read(column, date_order), _without_time(column)
    stamps, lost = _placed(naive, timezone)
    years = stamps.drop_nulls().dt.year()
    if len(years) and not (years.min() >= 1800 and years.max() <= 2200):  # type: ignore[operator]
        raise DataRefused(f"times such as {given[0]!r} lie outside the years 1800 to 2200: check the column of times")
    return stamps, [*findings, *lost]


def _clock_text(clock: pl.Series) -> pl.Series:
    """Times of day as text; numbers such as 500 get their zeros back (00:05:00 as 000500)."""
    text = clock.cast(pl.String)
    width = 4 if (text.str.len_chars().max() or 0) <= 4 else 6  # type: ignore[operator]
    return text.str.zfill(width) if text.str.contains(r"^\d+$").all() else text


def _without_time(column: pl.Series) -> list[Finding]:
    count = column.null_count()
    message = "bars without a time were dropped"
    return [Finding(check="no_time", severity="warning", count=count, message=message)] if count else []


def _read(column: pl.Series, date_order: DateOrder | None) -> pl.Series:
    """The column as times, with a zone if it tells one."""
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return column.cast(pl.Datetime("us", column.dtype.time_zone))
    text = column.cast(pl.String) if column.dtype.is_integer() or not column.dtype.is_numeric() else None
    if text is None:
        return _from_epoch(column)
    text = text.str.strip_chars()
    if text.str.contains(r"^-?\d+(\.\d*)?$").all() and not _is_digits_of_dates(text):
        return _from_epoch(text)
    return _from_text(text, date_order)


def _is_digits_of_dates(text: pl.Series) -> bool:
    """20170131 is a date, not an epoch."""
    return bool(text.str.contains(r"^(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])(\d{4}|\d{6})?$").all())


def _from_epoch(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64)
    highest = float(numbers.abs().max() or 0.0)  # type: ignore[arg-type]
    try:
        factor = next(factor for limit, factor in _EPOCHS if highest < limit)
        return (numbers * factor).round().cast(pl.Int64).cast(UTC_US)
    except (StopIteration, pl.exceptions.PolarsError):
        raise DataRefused(
            f"times such as {column[0]!r} cannot be read: they are no epochs in s, ms, us or ns"
        ) from None


def _from_text(column: pl.Series, date_order: DateOrder | None) -> pl.Series:
    offset = column.str.extract(_OFFSET, 1)
    zoned = offset.count()
    if zoned == 0:
        return _from_plain_text(column, date_order)
    if zoned < column.count():
        raise DataRefused("some times name their zone and some do not: write all of them in one way")
    plain = column.str.replace(r"\s*(?:GMT|UTC)?\s*(?:Z|GMT|UTC|[+-]\d{2}(?::?\d{2})?)$", "")
    digits = offset.str.replace_all(r"[:+-]", "").str.replace(r"^(Z|GMT|UTC)$", "0000").str.pad_end(4, "0")
    minutes = digits.str.slice(0, 2).cast(pl.Int64) * 60 + digits.str.slice(2, 2).cast(pl.Int64)
    sign = pl.select(pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    local = _from_plain_text(plain, date_order)
    return (local - (minutes * sign * 60_000_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC")


def _from_plain_text(column: pl.Series, date_order: DateOrder | None) -> pl.Series:
    example = str(column.drop_nulls()[0])
    parsed = {form: read for form in _forms(example) if (read := _parsed(column, form)) is not None}
    if date_order:
        parsed = {form: read for form, read in parsed.items() if _order(form) in ("year", date_order)}
    if {_order(form) for form in parsed} == {"day", "month"}:
        rising = {form: read for form, read in parsed.items() if _is_steady(read)}
        if len({_order(form) for form in rising}) != 1:
            raise DataRefused(
                f"dates such as {example!r} may begin with the day or with the month:"
                " write them as 2017-01-31, or name the order of dates (day or month first)"
            )
        parsed = rising
    if not parsed:
        raise DataRefused(f"times such as {example!r} cannot be read: write them as 2017-01-31 14:00, or as an epoch")
    return next(iter(parsed.values()))


def _is_steady(stamps: pl.Series) -> bool:
    """Oldest first or newest first throughout: the wrong order of day and month jumps to and fro."""
    known = stamps.drop_nulls()
    return known.is_sorted() or known.is_sorted(descending=True)


def _forms(example: str) -> list[str]:
    """The spellings worth a try; which way round day and month stand, one example cannot tell."""
    if example.isdigit():
        return [_ONLY_DIGITS[len(example)]] if len(example) in _ONLY_DIGITS else []
    clocks = _HALF_DAYS if example[-1:] in "mM" else _CLOCKS
    dates = _YEAR_FIRST if example[:4].isdigit() else (*_DAY_FIRST, *_MONTH_FIRST)
    return [date + clock for date in dates for clock in clocks]


def _parsed(column: pl.Series, form: str) -> pl.Series | None:
    if _fits(column.head(1), form) is None or _fits(column.tail(1), form) is None:
        return None
    return _fits(column, form)


def _fits(column: pl.Series, form: str) -> pl.Series | None:
    if "%H" in form or "%I" in form:
        stamps = column.str.to_datetime(form, strict=False, time_unit="us")
    else:
        stamps = column.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return None if stamps.null_count() > column.null_count() else stamps


def _order(form: str) -> str:
    return {"%Y": "year", "%d": "day", "%m": "month"}[form[:2]]


def _placed(stamps: pl.Series, timezone: str | None) -> tuple[pl.Series, list[Finding]]:
    """Naive times in their zone (UTC unless one is given); an hour that a clock change skips or repeats is null."""
    if isinstance(stamps.dtype, pl.Datetime) and stamps.dtype.time_zone:
        return stamps.dt.convert_time_zone("UTC"), []
    if not timezone or timezone.upper() == "UTC":
        return stamps.dt.replace_time_zone("UTC"), []
    try:
        local = stamps.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    except (pl.exceptions.PolarsError, ValueError):
        raise InvalidRequest(
            f"there is no time zone {timezone!r}: use a name such as UTC or America/New_York"
        ) from None
    lost = local.is_null() & stamps.is_not_null()
    if not lost.any():
        return local.dt.convert_time_zone("UTC"), []
    found = Finding(
        check="clock_change",
        severity="warning",
        count=int(lost.sum()),
        message=f"bars at an hour that the clock change of {timezone} skips or repeats were dropped",
        examples=[str(stamp) for stamp in stamps.filter(lost).head(3)],
    )
    return local.dt.convert_time_zone("UTC"), [found]
