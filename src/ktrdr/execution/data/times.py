"""When each bar of a file opened: epochs, ISO, and dates in either order, decided over the whole column."""

import polars as pl

from ktrdr.contracts.bars import Finding
from ktrdr.errors import DataRefused, InvalidRequest

UTC_US = pl.Datetime("us", "UTC")
_EPOCHS = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S%.f")
_DAY_FIRST = tuple(f"%d{mark}%m{mark}%Y" for mark in "./-")
_MONTH_FIRST = tuple(f"%m{mark}%d{mark}%Y" for mark in "./-")
_YEAR_FIRST = ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d")


def open_stamps(frame: pl.DataFrame, timezone: str | None) -> tuple[pl.Series, list[Finding]]:
    """The open stamps in UTC, null where a local time does not exist or comes twice, and what was found."""
    column = frame["time"]
    if "clock" in frame.columns:
        column = (column.cast(pl.String) + " " + frame["clock"].cast(pl.String)).alias("time")
    if column.null_count():
        raise DataRefused(f"{column.null_count()} rows have no time: fill in or remove them")
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return _placed(column.cast(pl.Datetime("us", column.dtype.time_zone)), timezone)
    if column.dtype.is_numeric() and not _looks_like_days(column):
        return _from_epoch(column), []
    return _placed(_from_text(column.cast(pl.String).str.strip_chars()), timezone)


def _looks_like_days(column: pl.Series) -> bool:
    """20170131 is a date, not an epoch."""
    low, high = column.min(), column.max()
    return (
        column.dtype.is_integer()
        and isinstance(low, int)
        and isinstance(high, int)
        and 19_000_101 <= low <= high <= 21_001_231
    )


def _from_epoch(column: pl.Series) -> pl.Series:
    highest = float(column.cast(pl.Float64).max() or 0.0)  # type: ignore[arg-type]
    unit = next((unit for unit, limit in _EPOCHS.items() if highest < limit * 100), "ns")
    factor = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}[unit]
    return (column.cast(pl.Float64) * factor).round().cast(pl.Int64).cast(UTC_US)


def _from_text(column: pl.Series) -> pl.Series:
    if column.str.contains(r"(Z|[+-]\d{2}:?\d{2})$").all():
        stamps = column.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        if not stamps.null_count():
            return stamps
    parsed = {form: read for form in _forms(column) if (read := _parsed(column, form)) is not None}
    orders = {_order(form) for form in parsed}
    if orders == {"day", "month"}:
        rising = {form: read for form, read in parsed.items() if read.is_sorted()}
        if len({_order(form) for form in rising}) != 1:
            raise DataRefused(
                f"dates such as {column[0]!r} may begin with the day or with the month: write them as 2017-01-31"
            )
        parsed = rising
    if not parsed:
        raise DataRefused(f"times such as {column[0]!r} cannot be read: write them as 2017-01-31 14:00, or as an epoch")
    return next(iter(parsed.values()))


def _forms(column: pl.Series) -> list[str]:
    dates = (*_YEAR_FIRST, *_DAY_FIRST, *_MONTH_FIRST)
    first = str(column[0])
    return [date + clock for date in dates for clock in _CLOCKS if _one(first, date + clock) or _order(date) != "year"]


def _one(text: str, form: str) -> bool:
    return pl.Series([text]).str.to_datetime(form, strict=False, time_unit="us")[0] is not None


def _parsed(column: pl.Series, form: str) -> pl.Series | None:
    if _fits(column.head(1), form) is None and _fits(column.tail(1), form) is None:
        return None
    return _fits(column, form)


def _fits(column: pl.Series, form: str) -> pl.Series | None:
    if "%H" in form:
        stamps = column.str.to_datetime(form, strict=False, time_unit="us")
    else:
        stamps = column.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return None if stamps.null_count() else stamps


def _order(form: str) -> str:
    return {"%Y": "year", "%d": "day", "%m": "month"}[form[:2]]


def _placed(stamps: pl.Series, timezone: str | None) -> tuple[pl.Series, list[Finding]]:
    """Naive times in their zone (UTC unless one is given); an hour that a clock change skips or repeats is null."""
    if isinstance(stamps.dtype, pl.Datetime) and stamps.dtype.time_zone:
        return stamps.dt.convert_time_zone("UTC"), []
    if timezone is None or timezone.upper() == "UTC":
        return stamps.dt.replace_time_zone("UTC"), []
    try:
        local = stamps.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    except (pl.exceptions.PolarsError, ValueError):
        raise InvalidRequest(
            f"there is no time zone {timezone!r}: use a name such as UTC or America/New_York"
        ) from None
    lost = local.is_null()
    findings = []
    if lost.any():
        findings.append(
            Finding(
                check="clock_change",
                severity="warning",
                count=int(lost.sum()),
                message=f"bars at an hour that the clock change of {timezone} skips or repeats were dropped",
                examples=[str(stamp) for stamp in stamps.filter(lost).head(3)],
            )
        )
    return local.dt.convert_time_zone("UTC"), findings
