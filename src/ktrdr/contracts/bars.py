"""Stored bars as the upper floors see them: which series there are, and what was found in them."""

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
    """One stored series. Times are the open stamps of its first and last bar, UTC."""

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
    """A series that a training reads."""

    symbol: str
    timeframe: str

    @property
    def name(self) -> str:
        return f"{self.symbol} {self.timeframe}"


class SeriesReading(Value):
    """What a training finds of a series: its bars in the range, the stored series that they are read or made from, and
    what a reader should know of it."""

    wanted: SeriesWanted
    bars: int
    stored: SeriesInfo
    notice: str | None = None


class BarRepository(Protocol):
    """The bars of a folder. Raises DataNotFound, DataRefused, InvalidName and StorageFailed."""

    def series(self) -> list[SeriesInfo]: ...

    def describe(self, symbol: str, timeframe: str) -> SeriesInfo: ...

    def details(self, symbol: str, timeframe: str, rows: int = 5) -> SeriesDetails: ...

    def file(self, symbol: str, timeframe: str, digest: str) -> Path:
        """The file of the stored series, if its bars have that digest; else DataNotFound."""

    def reading(self, wanted: SeriesWanted, start: datetime | None, end: datetime | None) -> SeriesReading:
        """What a training of [start, end) finds: stored bars, or bars made of shorter ones. Raises DataNotFound when
        there are none, and DataRefused when they would train a dishonest model."""

    def check(self, symbol: str, timeframe: str) -> CheckReport: ...

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
