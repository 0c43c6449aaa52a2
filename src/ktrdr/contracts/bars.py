"""Stored bars as the upper floors see them: which series there are, and what was found in them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from ktrdr.contracts.values import Value


class Finding(Value):
    """One kind of oddity in a series: how often, where (first few bars), and what was done about it."""

    check: str
    severity: Literal["info", "warning", "error"]
    count: int
    message: str
    examples: list[str] = Field(default_factory=list)


class SeriesInfo(Value):
    """One stored series. Times are the open stamps of its first and last bar, UTC.

    A series of observations has the calendar `observed`: its times are the moments at which values were known, and
    `lag` says how long after their periods.
    """

    symbol: str
    timeframe: str
    bars: int
    start: datetime
    end: datetime
    calendar: str
    digest: str
    source: str
    path: str
    jumps_accepted: bool = False
    lag: str | None = None

    @property
    def observed(self) -> bool:
        """Whether it is a series of observations."""
        return self.calendar == "observed"


class CheckReport(Value):
    """Everything a check of one series found; `findings` is empty for a flawless one."""

    series: SeriesInfo
    findings: list[Finding]


class Bar(Value):
    """One bar; `time` is its open stamp, UTC."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


class SeriesDetails(Value):
    """A series with its first and its last bars; `tail` is empty when `head` has them all."""

    series: SeriesInfo
    head: list[Bar]
    tail: list[Bar]


class SeriesWanted(Value):
    """A series that a training reads: bars of a symbol on a timeframe; without a timeframe, the observations that are
    stored under that name, known with the `publication_lag`, if one is said, instead of their own."""

    symbol: str
    timeframe: str | None = None
    publication_lag: str | None = None

    @property
    def name(self) -> str:
        return f"{self.symbol} {self.timeframe}" if self.timeframe else self.symbol


class SeriesReading(Value):
    """What a training finds of a series: its bars in the range, the stored series that they are read or made from, and
    what a reader should know of it."""

    wanted: SeriesWanted
    bars: int
    stored: SeriesInfo
    notice: str | None = None

    @property
    def resampled_from(self) -> str | None:
        """The timeframe that its bars are made of, None where they are stored."""
        stored = self.stored.timeframe
        return None if self.wanted.timeframe in (None, stored) else stored


class SeriesImport(Value):
    """What an importer says of a file of values: the `name` that they get; the `lag` after which each was known (none
    where the file has a column `known_at`; `strategy` where strategies say it); whether times are the start or the end
    of periods. `replace` puts them in the place of other values."""

    name: str
    lag: str | None = None
    column: str | None = None
    stamped: Literal["start", "end"] | None = None
    frequency: str | None = None
    timezone: str | None = None
    replace: bool = False


class BarRepository(Protocol):
    """The bars of a folder. Raises DataNotFound, DataRefused, InvalidName and StorageFailed."""

    def series(self) -> list[SeriesInfo]: ...

    def describe(self, symbol: str, timeframe: str) -> SeriesInfo: ...

    def details(self, symbol: str, timeframe: str, rows: int = 5) -> SeriesDetails: ...

    def file(self, symbol: str, timeframe: str, digest: str) -> Path:
        """The file of the stored series, if its bars have that digest; else DataNotFound."""

    def readings(
        self, series: Sequence[SeriesWanted], start: datetime | None, end: datetime | None
    ) -> list[SeriesReading]:
        """What a training of [start, end) finds: stored bars, or bars made of shorter ones. Raises DataNotFound with a
        line for each series that is not there, and DataRefused when bars would train a dishonest model."""

    def check(self, symbol: str, timeframe: str) -> CheckReport: ...

    def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        """Read the values of a CSV or Parquet file into the store, each with the moment at which it was known: that
        of a column `known_at`, or the end of its period and `lag`. Raises InvalidRequest when neither is there."""

    def import_file(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        timeframe: str | None = None,
        timezone: str | None = None,
        calendar: str | None = None,
        date_order: Literal["day", "month"] | None = None,
        accept_jumps: bool = False,
        replace: bool = False,
    ) -> CheckReport:
        """Read a CSV or Parquet file into the store and say what was found; what is not given is detected.

        `date_order` is for dates such as 01/02/2017 that the whole column leaves open. Raises Conflict when other bars
        of the series are stored and `replace` is not said.
        """
