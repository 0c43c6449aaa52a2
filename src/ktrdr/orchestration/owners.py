"""Owners: each process that runs operations holds a lock that dies with it, so that others can tell that it is gone."""

import asyncio
import fcntl
import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ktrdr.errors import StorageFailed
from ktrdr.logs import get_logger
from ktrdr.orchestration.database import Database

_log = get_logger("owners")
Role = Literal["serve", "embedded"]


def new_owner(role: Role) -> str:
    """A name for this process that no other has or will have; it tells its role."""
    return f"{role}-{socket.gethostname()[:60]}-{os.getpid()}-{uuid4().hex[:12]}"


def role_of(owner: str) -> Role:
    """What the owner of that name was."""
    return "serve" if owner.startswith("serve-") else "embedded"


class OwnerLocks(Protocol):
    """The locks of all owners that share one database. A lock ends with the process that holds it."""

    async def take(self, owner: str) -> bool:
        """Hold the lock of that owner: one's own, or a dead one's. False when somebody else holds it."""

    async def keep(self) -> None:
        """See that what is held is held still."""

    async def release(self, owner: str) -> None:
        """Let go of it for good: nobody of that name comes back."""

    async def aclose(self) -> None:
        """Let go of all of them."""


def owner_locks(database: Database, folder: Path) -> OwnerLocks:
    """Locks as that database needs them: files beside SQLite, advisory locks in PostgreSQL."""
    return FileLocks(folder) if database.file is not None else AdvisoryLocks(database)


class FileLocks:
    """`{owner}.lock` in a folder, held by flock: for processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    async def take(self, owner: str) -> bool:
        """Raises StorageFailed when the folder cannot be written."""
        if owner in self._held:
            return True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path(owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageFailed(f"cannot lock in {self._folder}: {error.strerror}; check its permissions") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._held[owner] = handle
        return True

    async def keep(self) -> None:
        """A file stays locked as long as its process lives."""

    async def release(self, owner: str) -> None:
        handle = self._held.pop(owner, None)
        if handle is None:
            return
        with suppress(OSError):
            self._path(owner).unlink()  # while it is held: nobody can be waiting for it
        os.close(handle)

    async def aclose(self) -> None:
        """Release every lock that is held."""
        for owner in [*self._held]:
            await self.release(owner)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"


class AdvisoryLocks:
    """Session advisory locks of PostgreSQL, on one connection that is held as long as any of them. They end with it:
    when it is lost, they are taken anew on the next one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: AsyncConnection | None = None
        self._held: set[str] = set()
        self._one = asyncio.Lock()

    async def take(self, owner: str) -> bool:
        """Raises StorageFailed when the database does not answer."""
        async with self._one:
            await self._keep()
            if owner not in self._held and await self._ask("SELECT pg_try_advisory_lock(:key)", owner):
                self._held.add(owner)
            return owner in self._held

    async def keep(self) -> None:
        """Raises StorageFailed when the database does not answer."""
        async with self._one:
            await self._keep()

    async def release(self, owner: str) -> None:
        async with self._one:
            if owner in self._held:
                self._held.discard(owner)
                with suppress(StorageFailed):  # then the lock has ended with its connection
                    await self._ask("SELECT pg_advisory_unlock(:key)", owner)

    async def aclose(self) -> None:
        """End the session, and with it every lock."""
        self._held.clear()
        await self._drop()

    async def _keep(self) -> None:
        """See that the connection lives; on a new one every lock is taken again."""
        if self._session is not None:
            with suppress(StorageFailed):
                await self._ask("SELECT 1")
        if self._session is not None:
            return
        for owner in sorted(self._held):
            if not await self._ask("SELECT pg_try_advisory_lock(:key)", owner):
                _log.warning("the connection was lost, and another process has the lock now", owner=owner)

    async def _ask(self, query: str, owner: str | None = None) -> bool:
        try:
            if self._session is None:
                self._session = await self._database.session()
            asked = await self._session.execute(text(query), {"key": _key(owner)} if owner else {})
            return bool(asked.scalar_one())
        except (SQLAlchemyError, OSError) as error:
            await self._drop()
            raise StorageFailed(f"the locks in the database {self._database.name} cannot be asked: {error}") from None

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):
                await session.invalidate()
            with suppress(Exception):
                await session.close()


def _key(owner: str) -> int:
    """The owner as the number that PostgreSQL locks: 63 bits of its sha256."""
    return int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big") >> 1
