"""Which host services there are, and how each of them does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from ktrdr.contracts.hosts import HostEntry, HostHealth, HostReport
from ktrdr.errors import Conflict, KtrdrError, NotFound
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.tables import hosts


class HostChecker(Protocol):
    """Asks a host how it does."""

    async def health(self, host: HostEntry) -> HostHealth:
        """Raises a KtrdrError when it does not say."""


class HostRegistry:
    """The HostDirectory of a backend: the hosts of its settings, and those that were added to its database."""

    def __init__(
        self,
        database: Database,
        checker: HostChecker,
        *,
        configured: Sequence[HostEntry] = (),
        version: str | None = None,
        timeout: float = 2.0,
        remember: float = 5.0,
        on_check: Callable[[HostReport], object] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A check waits `timeout` seconds, what it found holds for `remember` seconds; `on_check` hears of each. A host
        of another `version` than this program's is of no use: what it trains might not be what is expected here."""
        self._database = database
        self._checker = checker
        self._configured = {host.name: host for host in configured}
        self._version = version
        self._timeout = timeout
        self._remember = remember
        self._on_check = on_check
        self._clock = clock
        self._found: dict[HostEntry, tuple[float, HostReport]] = {}
        self._one_check = asyncio.Lock()

    async def entries(self) -> list[HostEntry]:
        """Every host, by name."""
        names = [hosts.c[name] for name in HostEntry.model_fields]
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(*names))).mappings().all()
        added = {row["name"]: HostEntry.model_validate(dict(row)) for row in rows}
        return [entry for _, entry in sorted((added | self._configured).items())]

    async def entry(self, name: str) -> HostEntry:
        for entry in await self.entries():
            if entry.name == name:
                return entry
        raise NotFound(f"there is no host {name}: `ktrdr hosts list` shows those there are")

    async def price_of(self, name: str) -> float | None:
        """What an hour of that host costs, if anybody knows."""
        try:
            return (await self.entry(name)).price_per_hour
        except NotFound:
            return None

    async def add(self, entry: HostEntry) -> HostEntry:
        """Register it. Raises Conflict when the name is taken."""
        taken = Conflict(f"there is a host {entry.name} already: remove it first, or choose another name")
        if entry.name in self._configured:
            raise taken
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(hosts).values(entry.model_dump() | {"added_at": self._clock()}))
        except IntegrityError:
            raise taken from None
        return entry

    async def remove(self, name: str) -> HostEntry:
        """Forget it; trainings that run there are still followed. Raises NotFound, and Conflict for one of the
        settings."""
        entry = await self.entry(name)
        if name in self._configured:
            raise Conflict(f"the host {name} stands in KTRDR_HOSTS: take it out there and start the server again")
        async with self._database.writing() as connection:
            await connection.execute(delete(hosts).where(hosts.c.name == name))
        return entry

    async def reports(self, *, fresh: bool = False) -> list[HostReport]:
        """Every host with its health; all are asked at once, and what is known is not asked again unless `fresh`."""
        entries = await self.entries()
        async with self._one_check:
            now = time.monotonic()
            known = {} if fresh else {host: report for host, (until, report) in self._found.items() if until > now}
            asked = [host for host in entries if host not in known]
            found = dict(zip(asked, await asyncio.gather(*map(self._check, asked)), strict=True))
            until = time.monotonic() + self._remember
            self._found = {host: entry for host, entry in self._found.items() if host in known}
            self._found |= {host: (until, report) for host, report in found.items()}
        return [(known | found)[host] for host in entries]

    def taken(self, name: str) -> None:
        """A training was just sent there: what is known of its free slots is one too many."""
        for host, (until, report) in [*self._found.items()]:
            if host.name == name and report.health is not None:
                left = max(0, report.health.free_slots - 1)
                health = report.health.model_copy(update={"free_slots": left})
                self._found[host] = until, report.model_copy(update={"health": health})

    def forget(self) -> None:
        """Ask all of them anew next time: one was not as it was found."""
        self._found.clear()

    async def _check(self, host: HostEntry) -> HostReport:
        begun, health, error = time.perf_counter(), None, None
        try:
            async with asyncio.timeout(self._timeout):
                health = await self._checker.health(host)
            if self._version not in (None, health.version):
                error = f"it runs KTRDR {health.version}, and this is {self._version}: install the same on both"
                health = None
        except TimeoutError:
            error = f"no answer within {self._timeout:g} s"
        except KtrdrError as failure:
            error = str(failure)
        report = HostReport(
            host=host,
            origin="settings" if host.name in self._configured else "registered",
            checked_at=self._clock(),
            latency_seconds=time.perf_counter() - begun,
            health=health,
            error=error,
        )
        self._on_check(report)
        return report
