"""Operations on disk: rows in, frozen values out.

A change is one guarded UPDATE: it names the attempt and the states that it may start from, so that a writer whose
attempt is over changes nothing.
"""

import asyncio
import fcntl
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self, TypeVarTuple

from pydantic import BaseModel
from sqlalchemy import ColumnElement, RowMapping, Select, func, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ktrdr.contracts.operations import EvaluatedRange, Operation, OperationStatus
from ktrdr.errors import Conflict, StorageFailed
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.tables import HEAD, REVISIONS, evaluated_ranges, operations

Upgrade = Callable[[str], None]
_Row = TypeVarTuple("_Row")


class OperationStore:
    """The operations of one database. Every method raises StorageFailed when the database cannot be used."""

    def __init__(self, database: Database, owner: str) -> None:
        """Takes a database at HEAD; `open` makes one. `owner` names this process on the rows that it writes."""
        self._database = database
        self._owner = owner

    @classmethod
    async def open(cls, url: str, upgrade: Upgrade, *, owner: str) -> Self:
        """The store at `url`; `upgrade(url)` is called, in a thread and under a lock, only where SQLite needs it.

        Raises InvalidSettings for a URL that cannot be used, and StorageFailed for a database that is newer than
        this program, or not upgraded and shared (PostgreSQL is upgraded on purpose, never by the way).
        """
        database = Database(url)
        try:
            await _bring_to_head(database, upgrade)
        except BaseException:
            await database.aclose()
            raise
        return cls(database, owner)

    async def insert(self, operation: Operation) -> None:
        """Add a new operation; committed on return. Raises Conflict when the id is taken."""
        values = _columns(operation) | {"owner": self._owner, "strategy_name": operation.request.strategy_name}
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(operations).values(values))
        except IntegrityError:
            raise Conflict(f"operation {operation.operation_id} exists already: choose another id") from None

    async def get(self, operation_id: str) -> Operation | None:
        """The operation, or None."""
        query = select(operations).where(operations.c.operation_id == operation_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else _operation(row)

    async def change(
        self,
        operation_id: str,
        *,
        allowed: Collection[OperationStatus],
        attempt: int | None = None,
        **values: Any,
    ) -> Operation | None:
        """Set `values` where the operation is in one of the `allowed` states and at that `attempt`; revision + 1.

        The operation as changed, or None: then nothing was changed. `attempt=None` is for those who speak of the
        operation whatever its attempt, such as the user who cancels it.
        """
        guards: list[ColumnElement[bool]] = [
            operations.c.operation_id == operation_id,
            operations.c.status.in_([status.value for status in allowed]),
        ]
        if attempt is not None:
            guards.append(operations.c.attempt == attempt)
        changed = (
            update(operations)
            .where(*guards)
            .values(revision=operations.c.revision + 1, **{name: _plain(value) for name, value in values.items()})
            .returning(operations)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(changed)).mappings().one_or_none()
        return None if row is None else _operation(row)

    async def take(self, operation_id: str, *, attempt: int, **values: Any) -> Operation | None:
        """Make a queued operation this process's own; else as `change`."""
        return await self.change(
            operation_id, allowed=(OperationStatus.QUEUED,), attempt=attempt, owner=self._owner, **values
        )

    async def page(
        self, statuses: Collection[OperationStatus] = (), *, limit: int = 50, offset: int = 0
    ) -> list[Operation]:
        """Operations in any of these states (none given: all), newest first."""
        newest = operations.c.created_at.desc(), operations.c.operation_id.desc()
        query = _in_states(select(operations), statuses).order_by(*newest).limit(limit).offset(offset)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_operation(row) for row in rows]

    async def count(self, statuses: Collection[OperationStatus] = ()) -> int:
        """How many operations are in any of these states (none given: all)."""
        query = _in_states(select(func.count()).select_from(operations), statuses)
        async with self._database.reading() as connection:
            return (await connection.execute(query)).scalar_one()

    async def record_evaluation(self, evaluated: EvaluatedRange) -> int:
        """Remember that look at a test range; the answer counts it and all looks at overlapping ranges before it.

        One operation is remembered once, however often it is told.
        """
        values = evaluated.model_dump(mode="json", exclude={"start", "end", "at"}) | {
            "range_start": evaluated.start,
            "range_end": evaluated.end,
            "at": evaluated.at,
        }
        known = select(evaluated_ranges.c.id).where(evaluated_ranges.c.operation_id == evaluated.operation_id)
        async with self._database.writing() as connection:
            if evaluated.operation_id is None or (await connection.execute(known)).first() is None:
                await connection.execute(insert(evaluated_ranges).values(values))
            return await _count_looks(
                connection, evaluated.symbols, evaluated.timeframe, evaluated.start, evaluated.end
            )

    async def count_evaluations(self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime) -> int:
        """How often a range that overlaps [start, end) has been looked at, of any of these symbols."""
        async with self._database.reading() as connection:
            return await _count_looks(connection, symbols, timeframe, start, end)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()


async def _bring_to_head(database: Database, upgrade: Upgrade) -> None:
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
    if file is None:
        raise StorageFailed(
            f"the tables of the database {database.name} are at {stored or 'nothing'} and must be at {HEAD}: "
            "run the migrations on it first"
        )
    url = database.url.render_as_string(hide_password=False)
    await asyncio.to_thread(_upgrade_under_lock, file.with_name(file.name + ".lock"), url, upgrade)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"the folder {folder} for the database cannot be made: {error.strerror}; "
            "set KTRDR_HOME to a folder of yours"
        ) from None


def _upgrade_under_lock(lock: Path, url: str, upgrade: Upgrade) -> None:
    try:
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            upgrade(url)
    except OSError as error:
        raise StorageFailed(f"the lock {lock} cannot be taken: {error.strerror}; check its folder") from None


async def _revision(database: Database) -> str | None:
    async with database.reading() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()


def _in_states(query: Select[*_Row], statuses: Collection[OperationStatus]) -> Select[*_Row]:
    return query.where(operations.c.status.in_([status.value for status in statuses])) if statuses else query


async def _count_looks(
    connection: AsyncConnection, symbols: Collection[str], timeframe: str, start: datetime, end: datetime
) -> int:
    overlapping = select(evaluated_ranges.c.symbols).where(
        evaluated_ranges.c.timeframe == timeframe,
        evaluated_ranges.c.range_start < end,
        evaluated_ranges.c.range_end > start,
    )
    looks: Sequence[list[str]] = (await connection.execute(overlapping)).scalars().all()
    return sum(not set(symbols).isdisjoint(looked_at) for looked_at in looks)


def _columns(operation: Operation) -> dict[str, Any]:
    return {name: _plain(getattr(operation, name)) for name in Operation.model_fields}


def _plain(value: object) -> object:
    """A value as its column takes it; numbers of other libraries become Python's."""
    if isinstance(value, Enum):
        return value.value
    return value.model_dump(mode="json", fallback=_number) if isinstance(value, BaseModel) else value


def _number(value: Any) -> object:
    return value.item() if hasattr(value, "item") else str(value)


def _operation(row: RowMapping) -> Operation:
    return Operation.model_validate({name: row[name] for name in Operation.model_fields})
