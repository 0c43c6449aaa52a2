"""StoredBars: import, list, show and check, for the floors above."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ktrdr.contracts.bars import (
    Bar,
    CheckReport,
    Finding,
    SeriesDetails,
    SeriesImport,
    SeriesInfo,
    SeriesReading,
    SeriesWanted,
)
from ktrdr.errors import Conflict, DataNotFound, DataRefused
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.checks import check
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.observations import check_observations, read_observations
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
        frame, reader = parse_timeframe(timeframe), BarReader(self._store)
        bars = reader.load(symbol, frame)
        head, tail = bars.rows(slice(0, rows)), bars.rows(slice(max(rows, len(bars) - rows), None))
        facts = reader.facts(symbol, frame)
        if bars.resampling is not None:
            own = facts_of(bars, source=f"resampled from {bars.resampling.source}", source_sha256="", imported_at="")
            facts = replace(own, jumps_accepted=facts.jumps_accepted)
        return SeriesDetails(series=self._info(symbol, frame, facts), head=_as_values(head), tail=_as_values(tail))

    def file(self, symbol: str, timeframe: str, digest: str) -> Path:
        frame = parse_timeframe(timeframe)
        stored = self._store.facts(symbol, frame).digest
        if stored != digest:
            raise DataNotFound(f"the {frame.name} bars of {symbol} that are stored have the digest {stored}")
        return self._store.path(symbol, frame)

    def readings(
        self, series: Sequence[SeriesWanted], start: datetime | None, end: datetime | None
    ) -> list[SeriesReading]:
        found, missing = [], []
        for wanted in series:
            try:
                found.append(self._reading(wanted, start, end))
            except DataNotFound as error:
                missing.append(str(error))
        if missing:
            raise DataNotFound("\n".join(missing))
        return found

    def _reading(self, wanted: SeriesWanted, start: datetime | None, end: datetime | None) -> SeriesReading:
        manager, reader, name = DataManager(self._store), BarReader(self._store), wanted.symbol
        if wanted.timeframe is None:
            source = ContextSource(name=name, series=(name,), lag=wanted.publication_lag)
            bars = manager.load_context(source, start=start, end=end, history=0)
            frame, notice = bars.timeframe, None
        else:
            bars = manager.load(name, wanted.timeframe, start=start, end=end, history=0)
            frame, notice = reader.source(name, bars.timeframe), resampling_notice(bars)
            longer = reader.farther_back(name, bars.timeframe)
            notice = f"{notice}; its bars of {longer.name} begin earlier" if longer and notice else notice
        stored = self._info(name, frame, self._store.facts(name, frame))
        return SeriesReading(wanted=wanted, bars=len(bars), stored=stored, notice=notice)

    def check(self, symbol: str, timeframe: str) -> CheckReport:
        """What the import found and what the bars look like now."""
        frame = parse_timeframe(timeframe)
        facts, bars = self._store.facts(symbol, frame), self._store.load(symbol, frame)
        imported = [Finding.model_validate(finding) for finding in facts.findings]
        findings = [*imported, *_looked_at(bars, facts)]
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
        if any(facts.lag is not None for facts in self._stored(bars.symbol)):
            raise Conflict(f"{bars.symbol} is a series of observations: give the bars another symbol")
        return self._keep(path, bars, findings, jumps_accepted=accept_jumps, replace=replace)

    def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        """Store the values of a file. The same again change nothing; other ones need `replace` (else: Conflict)."""
        bars, lag, findings = read_observations(path, said)
        if any(facts.lag is None for facts in self._stored(said.name)):
            raise Conflict(f"{said.name} is a symbol with bars: give the series another name")
        others = [one for one in self._store.timeframes(said.name) if one != bars.timeframe]
        if others and not said.replace:
            have = f"{said.name} has values of {others[0].name} already"
            raise Conflict(f"{have}: say --replace to put these in their place")
        report = self._keep(path, bars, findings, lag=lag, replace=said.replace)
        for one in others:
            self._store.remove(said.name, one)
        return report

    def _stored(self, symbol: str) -> list[SeriesFacts]:
        return [self._store.facts(symbol, frame) for frame in self._store.timeframes(symbol)]

    def _keep(self, path: Path, bars: Bars, findings: list[Finding], *, replace: bool, **known: Any) -> CheckReport:
        facts = facts_of(
            bars,
            source=path.name,
            source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            findings=[finding.model_dump() for finding in findings],
            **known,
        )
        self._store.save(bars, facts, overwrite=replace)
        series = self._info(bars.symbol, bars.timeframe, facts)
        return CheckReport(series=series, findings=[*findings, *_looked_at(bars, facts)])

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
            path=str(self._store.path(symbol, BarReader(self._store).source(symbol, timeframe))),
            jumps_accepted=facts.jumps_accepted,
            lag=facts.lag,
        )


def _looked_at(bars: Bars, facts: SeriesFacts) -> list[Finding]:
    """What is odd about a series as it is stored; jumps that the importer vouched for are no error."""
    if bars.observed:
        return check_observations(bars, facts.lag)
    if not facts.jumps_accepted:
        return check(bars)
    return [
        finding.model_copy(update={"severity": "info", "message": "jumps like share splits were accepted at import"})
        if finding.check == "splits"
        else finding
        for finding in check(bars)
    ]


def _as_values(bars: Bars) -> list[Bar]:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [
        Bar(time=instant(stamp), **dict(zip(("open", "high", "low", "close", "volume"), map(float, row), strict=True)))
        for stamp, *row in zip(bars.time, *columns, strict=True)
    ]
