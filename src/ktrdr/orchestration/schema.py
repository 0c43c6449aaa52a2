"""Brings a database to the tables that this program knows, before a store uses it."""

import asyncio
import fcntl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

from sqlalchemy import inspect, text

from ktrdr.errors import StorageFailed
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.tables import HEAD, REVISIONS

Upgrade = Callable[[str], Awaitable[None]]


async def bring_to_head(database: Database, upgrade: Upgrade, *, on_purpose: bool = False) -> None:
    """Upgrade SQLite under a lock; raise StorageFailed for tables of a newer program, or old ones that others share."""
    file = database.file
    if file is not None:
        _make_folder(file.parent)
    stored = await _revision(database)
    if stored == HEAD:
        return
    if stored is not None and stored not in REVISIONS:
        raise StorageFailed(
            f"the database {database.name} was written by a newer KTRDR (tables {stored}, this program knows {HEAD}): "
            "upgrade KTRDR, or set KTRDR_DATABASE_URL to another database"
        )
    if file is None and not on_purpose:
        raise StorageFailed(
            f"the tables of the database {database.name} are at {stored or 'nothing'} and must be at {HEAD}: "
            "run `ktrdr db upgrade`"
        )
    url = database.url.render_as_string(hide_password=False)
    if file is None:
        await upgrade(url)
        return
    with await asyncio.to_thread(_locked, file.with_name(file.name + ".lock")):
        await upgrade(url)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"the folder {folder} for the database cannot be made: {error.strerror}; "
            "set KTRDR_HOME to a folder of yours"
        ) from None


def _locked(lock: Path) -> TextIO:
    """The file of the lock, which is held until it is closed. Waits for whoever holds it."""
    try:
        held = lock.open("a")
        fcntl.flock(held, fcntl.LOCK_EX)
        return held
    except OSError as error:
        raise StorageFailed(f"the lock {lock} cannot be taken: {error.strerror}; check its folder") from None


async def _revision(database: Database) -> str | None:
    async with database.reading() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
