"""BarStore: one Parquet file a series, written whole or not at all, with what is known of it in its metadata."""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.execution.data.bars import COLUMNS, PRICES, Bars, check_symbol, instant
from ktrdr.execution.data.timeframes import Timeframe, parse_timeframe
from ktrdr.execution.files import fsync_folder, make_folder, storage_failures, write_synced

_KEY = "ktrdr"


@dataclass(frozen=True, kw_only=True)
class SeriesFacts:
    """What is stored beside the columns. `findings` are those of the import, as plain values."""

    calendar: str
    source: str
    source_sha256: str
    imported_at: str
    digest: str
    bars: int
    first: int
    last: int
    jumps_accepted: bool = False
    findings: list[dict[str, Any]] = field(default_factory=list)


class BarStore:
    """The data folder: `{symbol}/{timeframe}.parquet`. Raises InvalidName, DataNotFound, DataRefused, StorageFailed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, symbol: str, timeframe: Timeframe) -> Path:
        """Where a series lies; months are spelled `mo`, for file systems that do not tell 1M from 1m."""
        return self.root / check_symbol(symbol) / f"{timeframe.name.replace('M', 'mo')}.parquet"

    def series(self) -> list[tuple[str, Timeframe]]:
        """Every stored series, by symbol and then by length."""
        found = []
        for path in sorted(self.root.glob("*/*.parquet")):
            if not path.name.startswith("."):
                found.append((path.parent.name, parse_timeframe(path.stem)))
        return sorted(found)

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts:
        """What is known of a series, without reading its columns."""
        path = self._existing(symbol, timeframe)
        with storage_failures("read", path):
            try:
                return SeriesFacts(**json.loads(pl.read_parquet_metadata(path)[_KEY]))
            except (KeyError, ValueError, TypeError, pl.exceptions.PolarsError):
                raise DataRefused(f"{path} is not a bar file of this store: import the bars again") from None

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        """All bars of a series."""
        path, facts = self._existing(symbol, timeframe), self.facts(symbol, timeframe)
        with storage_failures("read", path):
            try:
                frame = pl.read_parquet(path, columns=list(COLUMNS))
            except pl.exceptions.PolarsError:
                raise DataRefused(f"{path} is damaged: import the bars again") from None
        columns = [np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64) for name in (*PRICES, "volume")]
        time = np.ascontiguousarray(frame["time"].to_physical().to_numpy(), dtype=np.int64)
        return Bars(symbol, timeframe, facts.calendar, time, *columns)

    def save(self, bars: Bars, facts: SeriesFacts) -> Path:
        """Write a series in the place of an older one, whole or not at all."""
        path = self.path(bars.symbol, bars.timeframe)
        frame = pl.DataFrame({name: getattr(bars, name) for name in COLUMNS})
        frame = frame.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
        content = io.BytesIO()
        frame.write_parquet(content, compression="zstd", metadata={_KEY: json.dumps(asdict(facts))})
        beside = path.with_name(f".{path.name}.new")
        with storage_failures("store the bars", path.parent):
            make_folder(path.parent)
            try:
                write_synced(beside, content.getvalue())
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            fsync_folder(path.parent)
        return path

    def _existing(self, symbol: str, timeframe: Timeframe) -> Path:
        path = self.path(symbol, timeframe)
        if path.is_file():
            return path
        listed = ", ".join(f"{name} {frame.name}" for name, frame in self.series()[:12]) or "nothing yet"
        raise DataNotFound(
            f"there are no {timeframe.name} bars of {symbol} in {self.root} (stored: {listed}):"
            f" import them with `ktrdr data import FILE --symbol {symbol} --timeframe {timeframe.name}`"
        )


def facts_of(bars: Bars, **known: Any) -> SeriesFacts:
    """The facts that follow from the bars, with what the importer knows."""
    return SeriesFacts(
        calendar=bars.calendar,
        digest=bars.digest(),
        bars=len(bars),
        first=int(bars.time[0]),
        last=int(bars.time[-1]),
        **known,
    )


def described_range(facts: SeriesFacts) -> str:
    """The stored range in words."""
    return f"{instant(facts.first):%Y-%m-%d %H:%M} to {instant(facts.last):%Y-%m-%d %H:%M} UTC"
