"""BarStore: one Parquet file a series, written whole or not at all, with what is known of it in its metadata.

A writer holds the lock of its symbol, writes a hidden file beside and renames it; readers need no lock. What is read is
proven by its digest: Parquet itself hands out damaged prices without a word.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from ktrdr.errors import Conflict, DataNotFound, DataRefused, InvalidRequest
from ktrdr.execution.data.bars import COLUMNS, Bars, check_symbol, instant
from ktrdr.execution.data.timeframes import Timeframe, parse_timeframe
from ktrdr.execution.files import exclusive_lock, fsync_folder, make_folder, storage_failures, write_synced

_KEY = "ktrdr"
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises at damaged bytes: an error, or the panic of a decoder that ran out of its page."""


@dataclass(frozen=True, kw_only=True)
class SeriesFacts:
    """What is stored beside the columns. `findings` are those of the import, as plain values; `lag` says of
    observations how long after the end of its period each was known, in words where it is no length of time."""

    calendar: str
    source: str
    source_sha256: str
    imported_at: str
    digest: str
    bars: int
    first: int
    last: int
    jumps_accepted: bool = False
    lag: str | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)


class BarStore:
    """The data folder: `{symbol}/{timeframe}.parquet`. Raises InvalidName, DataNotFound, DataRefused, StorageFailed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, symbol: str, timeframe: Timeframe) -> Path:
        """Where a series lies; months are spelled `mo`, for file systems that do not tell 1M from 1m."""
        return self.root / check_symbol(symbol) / f"{timeframe.name.replace('M', 'mo')}.parquet"

    def remove(self, symbol: str, timeframe: Timeframe) -> None:
        """Take a series out; nothing there is fine."""
        path = self.path(symbol, timeframe)
        with storage_failures("remove the bars", path.parent), self._writing(path.parent):
            path.unlink(missing_ok=True)
            fsync_folder(path.parent)

    def series(self) -> list[tuple[str, Timeframe]]:
        """Every stored series, by symbol and then by length; files that are no series' are passed over."""
        found = []
        with storage_failures("list the bars", self.root):
            for path in self.root.glob("*/*.parquet"):
                with suppress(InvalidRequest):
                    symbol, timeframe = path.parent.name, parse_timeframe(path.stem)
                    if path == self.path(symbol, timeframe) and path.is_file():
                        found.append((symbol, timeframe))
        return sorted(found)

    def timeframes(self, symbol: str) -> list[Timeframe]:
        """Those stored of a symbol, the shortest first."""
        found = []
        with storage_failures("list the bars", self.root):
            for path in (self.root / check_symbol(symbol)).glob("*.parquet"):
                with suppress(InvalidRequest):
                    timeframe = parse_timeframe(path.stem)
                    if path == self.path(symbol, timeframe) and path.is_file():
                        found.append(timeframe)
        return sorted(found)

    def exists(self, symbol: str, timeframe: Timeframe) -> bool:
        """Whether something is stored under that name."""
        return self.path(symbol, timeframe).is_file()

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts:
        """What is known of a series, without reading its columns."""
        path = self._existing(symbol, timeframe)
        with storage_failures("read", path):
            return _facts(path, path)

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        """All bars of a series. Raises DataRefused unless they are, bit for bit, those that were stored."""
        path = self._existing(symbol, timeframe)
        with storage_failures("read", path), path.open("rb") as file:  # one look: a writer may replace it at any moment
            try:
                facts = _facts(path, file)
                file.seek(0)
                frame = pl.read_parquet(file, columns=list(COLUMNS))
                prices = [np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64) for name in COLUMNS[1:]]
                time = np.ascontiguousarray(frame["time"].to_physical().to_numpy(), dtype=np.int64)
            except (*_UNREADABLE, ValueError, TypeError):
                raise _damaged(path) from None
        bars = Bars(symbol, timeframe, facts.calendar, time, *prices)
        if bars.digest() != facts.digest:
            raise _damaged(path)
        return bars

    def save(self, bars: Bars, facts: SeriesFacts, *, overwrite: bool = True) -> Path:
        """Write a series whole or not at all. Raises Conflict when other bars are there that may not be replaced."""
        path = self.path(bars.symbol, bars.timeframe)
        frame = pl.DataFrame({name: getattr(bars, name) for name in COLUMNS})
        frame = frame.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
        content = io.BytesIO()
        frame.write_parquet(content, compression="lz4", metadata={_KEY: json.dumps(asdict(facts))})
        beside = path.with_name(f".{path.name}.new")
        with storage_failures("store the bars", path.parent), self._writing(path.parent):
            if not overwrite:
                self._refuse_overwriting(bars)
            try:
                write_synced(beside, content.getvalue())
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            fsync_folder(path.parent)
        return path

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[None]:
        """Hold the lock of a symbol, so that no two writers share the hidden file; leave no empty folder behind."""
        make_folder(self.root)
        lock = folder / ".lock"
        with exclusive_lock(lock):
            try:
                fsync_folder(self.root)
                yield
            finally:
                with suppress(OSError):
                    lock.unlink()
                    folder.rmdir()  # refuses while a series is here

    def _refuse_overwriting(self, bars: Bars) -> None:
        if not self.exists(bars.symbol, bars.timeframe):
            return
        stored = self.facts(bars.symbol, bars.timeframe)
        if stored.digest != bars.digest():
            raise Conflict(
                f"other {bars.timeframe.name} bars of {bars.symbol} are stored already ({described_range(stored)},"
                f" from {stored.source}): say --replace to put these in their place"
            )

    def _existing(self, symbol: str, timeframe: Timeframe) -> Path:
        path = self.path(symbol, timeframe)
        if path.is_file():
            return path
        listed = ", ".join(f"{name} {frame.name}" for name, frame in self.series()[:12]) or "nothing yet"
        raise DataNotFound(
            f"there are no {timeframe.name} bars of {symbol} in {self.root}"
            f" (stored: {listed}): import them with `ktrdr data import FILE --symbol {symbol}"
            f" --timeframe {timeframe.name}`"
        )


def _facts(path: Path, source: Path | BinaryIO) -> SeriesFacts:
    try:
        return SeriesFacts(**json.loads(pl.read_parquet_metadata(source)[_KEY]))
    except (*_UNREADABLE, KeyError, ValueError, TypeError):
        raise DataRefused(
            f"{path} is not a bar file of this store, or it is damaged: import the bars again with --replace"
        ) from None


def _damaged(path: Path) -> DataRefused:
    return DataRefused(f"{path} is damaged, its bars are not those that were imported: import them again")


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
