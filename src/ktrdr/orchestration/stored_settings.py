"""Settings that are changed while a server runs: kept in the database, they win over the environment."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select

from ktrdr.orchestration.database import Database
from ktrdr.orchestration.tables import stored_settings


class StoredSettings:
    """Values by name. Every method raises StorageFailed when the database cannot be used."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def get(self, name: str) -> Any:
        """The value, or None where nothing was stored."""
        query = select(stored_settings.c.value).where(stored_settings.c.name == name)
        async with self._database.reading() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def put(self, name: str, value: Any) -> None:
        """Store it; committed on return."""
        row = {"name": name, "value": value, "changed_at": self._clock()}
        async with self._database.writing() as connection:
            await connection.execute(delete(stored_settings).where(stored_settings.c.name == name))
            await connection.execute(insert(stored_settings).values(row))
