"""One way to a database, SQLite or PostgreSQL: connections, transactions, and failures as sentences.

SQLite gets one connection a process and durable commits; several processes may share its file.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ktrdr.errors import InvalidSettings, KtrdrError, StorageFailed

BUSY_SECONDS = 30
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
_WRITE = "write sqlite:///path/to/file.db or postgresql://user:password@host/name"
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
_FAULTS = (exc.OperationalError, exc.InternalError, exc.InterfaceError, exc.TimeoutError, OSError)


class Database:
    """The connections to one database; nothing is opened before the first transaction."""

    def __init__(self, url: str) -> None:
        """Raises InvalidSettings when the URL cannot be read or its driver is not installed. `errors` counts
        transactions that failed."""
        self.url = _read_url(url)
        self.errors = 0
        self._engine = _engine(self.url)
        self._reader = self._engine.execution_options(ktrdr_reading=True)

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a database that is not one."""
        if self.url.get_backend_name() != "sqlite":
            return None
        return Path((self.url.database or "").removeprefix("file:"))

    @property
    def name(self) -> str:
        """What messages call the database: its URL without the password."""
        return str(self.file or self.url.render_as_string(hide_password=True))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that may write: committed whole when the block ends, else not at all."""
        async with self._transaction(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that only reads; it holds up no writer for longer than its rows take."""
        async with self._transaction(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except KtrdrError:
            raise
        except (exc.IntegrityError, exc.ProgrammingError, exc.DataError):
            raise
        except (*_FAULTS, exc.DatabaseError) as error:
            self.errors += 1
            raise StorageFailed(_sentence(self.name, error)) from error

    async def session(self) -> AsyncConnection:
        """A connection of one's own, for locks that last as long as it does; whoever asks for it closes it."""
        connection = await self._engine.connect()
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise InvalidSettings(f"KTRDR_DATABASE_URL cannot be read: {_WRITE}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
        raise InvalidSettings(f"KTRDR_DATABASE_URL names {parsed.get_backend_name()}, which is not supported: {_WRITE}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidSettings("a database in memory forgets every operation: name a file, sqlite:///path/to/file.db")
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _engine(url: URL) -> AsyncEngine:
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"pool_pre_ping": True}
    if sqlite:
        options = {
            "pool_size": 1,
            "max_overflow": 0,
            "connect_args": {"isolation_level": None, "timeout": BUSY_SECONDS},
        }
    try:
        engine = create_async_engine(url, **options)
    except (exc.NoSuchModuleError, exc.InvalidRequestError, ModuleNotFoundError) as error:
        raise InvalidSettings(
            f"the database driver {url.drivername} cannot be used ({error}): install it or name another one"
        ) from None
    if sqlite:
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    """SQLite takes its write lock at the start of a writer, where it can wait for it, not in the middle."""
    reading = connection.get_execution_options().get("ktrdr_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _sentence(name: str, error: Exception) -> str:
    reason = str(getattr(error, "orig", None) or error).strip()
    if "locked" in reason:
        return f"the database {name} has been busy for {BUSY_SECONDS} seconds: end the program that holds it"
    if "full" in reason:
        return f"the disk of the database {name} is full: make room and try again"
    if "readonly" in reason or "unable to open" in reason:
        return f"the database {name} cannot be opened and written ({reason}): check the folder and its permissions"
    return f"the database {name} cannot be used: {reason}"
