"""StoredBars: import, list, show and check, for the floors above."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ktrdr.contracts.bars import Bar, CheckReport, Finding, SeriesInfo
from ktrdr.errors import Conflict, DataRefused
from ktrdr.execution.data.bars import Bars, instant, microseconds
from ktrdr.execution.data.checks import check
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.store import BarStore, SeriesFacts, described_range, facts_of
from ktrdr.execution.data.timeframes import Timeframe, parse_timeframe


class StoredBars:
    """Implements `contracts.bars.BarRepository` on a BarStore."""

    def __init__(self, store: BarStore) -> None:
        self._store = store

    def series(self) -> list[SeriesInfo]:
        return [self._info(symbol, frame, self._store.facts(symbol, frame)) for symbol, frame in self._store.series()]

    def describe(self, symbol: str, timeframe: str) -> SeriesInfo:
        frame = parse_timeframe(timeframe)
        return self._info(symbol, frame, self._store.facts(symbol, frame))

    def head_and_tail(self, symbol: str, timeframe: str, rows: int = 5) -> tuple[list[Bar], list[Bar]]:
        bars = self._store.load(symbol, parse_timeframe(timeframe))
        head, tail = bars.rows(slice(0, rows)), bars.rows(slice(max(rows, len(bars) - rows), None))
        return _as_values(head), _as_values(tail)

    def count(self, symbol: str, timeframe: str, start: datetime | None, end: datetime | None) -> int:
        time = self._store.load(symbol, parse_timeframe(timeframe)).time
        first = 0 if start is None else int(np.searchsorted(time, microseconds(start)))
        last = len(time) if end is None else int(np.searchsorted(time, microseconds(end)))
        return max(0, last - first)

    def check(self, symbol: str, timeframe: str) -> CheckReport:
        """What the import found and what the bars look like now."""
        frame = parse_timeframe(timeframe)
        facts, bars = self._store.facts(symbol, frame), self._store.load(symbol, frame)
        if bars.digest() != facts.digest:
            raise DataRefused(f"the stored bars of {symbol} {frame.name} are not those imported: import them again")
        imported = [Finding.model_validate(finding) for finding in facts.findings]
        findings = [*imported, *_accepted(check(bars), facts.jumps_accepted)]
        return CheckReport(series=self._info(symbol, frame, facts), findings=findings)

    def import_file(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        timeframe: str | None = None,
        timezone: str | None = None,
        calendar: str | None = None,
        accept_jumps: bool = False,
        replace: bool = False,
    ) -> CheckReport:
        """Store the bars of a file. The same bars again change nothing; other ones need `replace`."""
        bars, findings = read_bars(path, symbol=symbol, timeframe=timeframe, timezone=timezone, calendar=calendar)
        self._refuse_overwriting(bars, replace)
        facts = facts_of(
            bars,
            source=path.name,
            source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            jumps_accepted=accept_jumps,
            findings=[finding.model_dump() for finding in findings],
        )
        self._store.save(bars, facts)
        return CheckReport(
            series=self._info(bars.symbol, bars.timeframe, facts),
            findings=[*findings, *_accepted(check(bars), accept_jumps)],
        )

    def _refuse_overwriting(self, bars: Bars, replace: bool) -> None:
        if replace or not self._store.path(bars.symbol, bars.timeframe).is_file():
            return
        stored = self._store.facts(bars.symbol, bars.timeframe)
        if stored.digest != bars.digest():
            raise Conflict(
                f"other {bars.timeframe.name} bars of {bars.symbol} are stored already ({described_range(stored)},"
                f" from {stored.source}): say --replace to put these in their place"
            )

    def _info(self, symbol: str, timeframe: Timeframe, facts: SeriesFacts) -> SeriesInfo:
        return SeriesInfo(
            symbol=symbol,
            timeframe=timeframe.name,
            bars=facts.bars,
            start=instant(facts.first),
            end=instant(facts.last),
            calendar=facts.calendar,
            digest=facts.digest,
            source=facts.source,
            path=str(self._store.path(symbol, timeframe)),
        )


def _accepted(findings: list[Finding], jumps_accepted: bool) -> list[Finding]:
    """Jumps that the importer vouched for are no error."""
    if not jumps_accepted:
        return findings
    return [
        finding.model_copy(update={"severity": "info", "message": "jumps like share splits were accepted at import"})
        if finding.check == "splits"
        else finding
        for finding in findings
    ]


def _as_values(bars: Bars) -> list[Bar]:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [
        Bar(time=instant(stamp), **dict(zip(("open", "high", "low", "close", "volume"), map(float, row), strict=True)))
        for stamp, *row in zip(bars.time, *columns, strict=True)
    ]
