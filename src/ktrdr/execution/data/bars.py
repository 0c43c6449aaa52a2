"""Bars: one series of a symbol and a timeframe as plain columns, and the names that symbols may have."""

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InvalidName
from ktrdr.execution.data.timeframes import DAY, OBSERVED, SECOND, Timeframe, bar_closes

PRICES = ("open", "high", "low", "close")
COLUMNS = ("time", *PRICES, "volume")
_SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9_.^=-]{0,31}")


@dataclass(frozen=True, eq=False)
class Resampling:
    """How bars were made of shorter ones: the timeframe of these, how many of them are missing inside each bar, and how
    many were left out."""

    source: str
    missing: NDArray[np.int64]
    left_out: int


@dataclass(frozen=True, eq=False)
class Bars:
    """Columns of equal length: `time` are open stamps in microseconds UTC, rising; the rest are float64.

    A series of observations is a series of bars too: each has one value for its four prices, no volume, and for its
    stamp the moment at which it was known; several may have become known at one moment.
    """

    symbol: str
    timeframe: Timeframe
    calendar: str
    time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    resampling: Resampling | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def observed(self) -> bool:
        """Whether these are observations."""
        return self.calendar == OBSERVED

    @property
    def valid_for(self) -> int:
        """How long an observation stands for what is known, microseconds: until the next one is, but no longer than
        three periods, and three weeks where these are shorter (values of days pause for holidays)."""
        return 3 * int(max(self.timeframe.length, 7 * DAY)) * SECOND

    @cached_property
    def closes(self) -> NDArray[np.int64]:
        """When each bar closes, microseconds UTC: the first moment at which it may be seen."""
        return bar_closes(self.time, self.timeframe, self.calendar)

    def rows(self, which: slice) -> "Bars":
        """The bars of a slice."""
        columns: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[which]) for name in COLUMNS}
        made = self.resampling
        return replace(self, **columns, resampling=made and replace(made, missing=made.missing[which]))

    def span(self, start: datetime | None, end: datetime | None) -> slice:
        """Where the bars lie whose open stamps are in [start, end); None: no bound."""
        first = 0 if start is None else int(np.searchsorted(self.time, microseconds(start)))
        last = len(self) if end is None else int(np.searchsorted(self.time, microseconds(end)))
        return slice(first, max(first, last))

    def between(self, start: datetime | None, end: datetime | None) -> "Bars":
        """The bars whose open stamps are in [start, end)."""
        return self.rows(self.span(start, end))

    def digest(self) -> str:
        """The sha256 of symbol, timeframe and column bytes: equal bars have equal digests, however they are stored."""
        sha = hashlib.sha256(f"{self.symbol} {self.timeframe.name}\n".encode())
        for column in COLUMNS:
            sha.update(np.ascontiguousarray(getattr(self, column)).data)
        return sha.hexdigest()


def check_symbol(name: str) -> str:
    """The name itself; raises InvalidName unless it can be a folder's name."""
    if _SYMBOL.fullmatch(name) and ".." not in name:
        return name
    hint = f", such as {name.replace('/', '')}" if re.fullmatch(r"[A-Za-z]{3}/[A-Za-z]{3}", name) else ""
    raise InvalidName(
        f"the symbol {name!r} has characters that a name may not have: use letters, digits and _ - . ^ ="
        f" (at most 32, a letter, a digit or ^ first, no '..'){hint}"
    )


def microseconds(instant: datetime) -> int:
    """An instant as microseconds UTC; one without a zone is meant in UTC."""
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    delta = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def instant(stamp: int | np.int64) -> datetime:
    """Microseconds UTC as an instant."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(stamp))
