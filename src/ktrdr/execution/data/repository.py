"""StoredBars: import, list, show and check, for the floors above."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from ktrdr.contracts.bars import Bar, CheckReport, Finding, SeriesDetails, SeriesInfo, SeriesReading, SeriesWanted
from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.checks import check
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.reader import BarReader
from ktrdr.execution.data.resampling import resampling_notice
from ktrdr.execution.data.store import BarStore, SeriesFacts, facts_of
from ktrdr.execution.data.timeframes import Timeframe, parse_timeframe
from ktrdr.execution.data.times import DateOrder
from ktrdr.logs import get_logger

_log = get_logger("data")


class StoredBars:
    """Implements `contracts.bars.BarRepository` on a BarStore."""

    def __init__(self, store: BarStore) -> None:
        self._store = store

    def series(self) -> list[SeriesInfo]:
        found = []
        for symbol, frame in self._store.series():
            try:
                found.append(self._info(symbol, frame, self._store.facts(symbol, frame)))
            except DataRefused as error:  # one foreign file does not hide the others
                _log.warning("series left out of the list", reason=str(error))
        return found

    def describe(self, symbol: str, timeframe: str) -> SeriesInfo:
        frame = parse_timeframe(timeframe)
        return self._info(symbol, frame, self._store.facts(symbol, frame))

    def details(self, symbol: str, timeframe: str, rows: int = 5) -> SeriesDetails:
        bars = self._store.load(symbol, parse_timeframe(timeframe))
        head, tail = bars.rows(slice(0, rows)), bars.rows(slice(max(rows, len(bars) - rows), None))
        return SeriesDetails(series=self.describe(symbol, timeframe), head=_as_values(head), tail=_as_values(tail))

    def file(self, symbol: str, timeframe: str, digest: str) -> Path:
        frame = parse_timeframe(timeframe)
        stored = self._store.facts(symbol, frame).digest
        if stored != digest:
            raise DataNotFound(f"the {frame.name} bars of {symbol} that are stored have the digest {stored}")
        return self._store.path(symbol, frame)

    def reading(self, wanted: SeriesWanted, start: datetime | None, end: datetime | None) -> SeriesReading:
        frame = parse_timeframe(wanted.timeframe)
        bars = DataManager(self._store).load(wanted.symbol, wanted.timeframe, start=start, end=end, history=0)
        source = BarReader(self._store).source(wanted.symbol, frame)
        stored = self._info(wanted.symbol, source, self._store.facts(wanted.symbol, source))
        return SeriesReading(wanted=wanted, bars=len(bars), stored=stored, notice=resampling_notice(bars))

    def check(self, symbol: str, timeframe: str) -> CheckReport:
        """What the import found and what the bars look like now."""
        frame = parse_timeframe(timeframe)
        facts, bars = self._store.facts(symbol, frame), self._store.load(symbol, frame)
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
        date_order: DateOrder | None = None,
        accept_jumps: bool = False,
        replace: bool = False,
    ) -> CheckReport:
        """Store the bars of a file. The same bars again change no bar; other ones need `replace` (else: Conflict)."""
        bars, findings = read_bars(
            path, symbol=symbol, timeframe=timeframe, timezone=timezone, calendar=calendar, date_order=date_order
        )
        facts = facts_of(
            bars,
            source=path.name,
            source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            jumps_accepted=accept_jumps,
            findings=[finding.model_dump() for finding in findings],
        )
        self._store.save(bars, facts, overwrite=replace)
        return CheckReport(
            series=self._info(bars.symbol, bars.timeframe, facts),
            findings=[*findings, *_accepted(check(bars), accept_jumps)],
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
            jumps_accepted=facts.jumps_accepted,
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
