"""Operations on disk: rows in, frozen values out.

A change is one guarded UPDATE: it names the attempt and the states that it may start from, so that a writer whose
attempt is over changes nothing.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Self, TypeVarTuple

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ktrdr.contracts.operations import EvaluatedRange, Operation, OperationStatus, OperationSummary
from ktrdr.contracts.training import OperationType, TrainingRequest
from ktrdr.errors import Conflict
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.operation_rows import SUMMARY, columns_of, operation_of, plain
from ktrdr.orchestration.schema import Upgrade, bring_to_head
from ktrdr.orchestration.tables import evaluated_ranges, operations

_Row = TypeVarTuple("_Row")


class OperationStore:
    """The operations of one database. Every method raises StorageFailed when the database cannot be used."""

    def __init__(self, database: Database, owner: str) -> None:
        """Takes a database at HEAD; `open` makes one. `owner` names this process on the rows that it writes."""
        self.database = database
        self.owner = owner

    @classmethod
    async def open(cls, url: str, upgrade: Upgrade, *, owner: str) -> Self:
        """The store at `url`; `upgrade(url)` is called, under a lock, only where SQLite needs it.

        Raises InvalidSettings for a URL that cannot be used, and StorageFailed for a database that is newer than
        this program, or not upgraded and shared (PostgreSQL is upgraded on purpose, never by the way).
        """
        database = Database(url)
        try:
            await bring_to_head(database, upgrade)
        except BaseException:
            await database.aclose()
            raise
        return cls(database, owner)

    async def insert(
        self, operation: Operation, *, idempotency_key: str | None = None, request_digest: str | None = None
    ) -> None:
        """Add a new operation; committed on return. Raises Conflict when its id or its key is taken."""
        keys = {"idempotency_key": idempotency_key, "request_digest": request_digest}
        values = columns_of(operation) | {"owner": self.owner} | keys
        try:
            async with self.database.writing() as connection:
                await connection.execute(insert(operations).values(values))
        except IntegrityError:
            raise Conflict(f"operation {operation.operation_id} or its key exists already: choose another") from None

    async def of_key(self, idempotency_key: str) -> tuple[Operation, str | None] | None:
        """The operation that was started with this key, and the digest of the request it came with."""
        query = select(operations).where(operations.c.idempotency_key == idempotency_key)
        async with self.database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else (operation_of(row), row["request_digest"])

    async def get(self, operation_id: str) -> Operation | None:
        """The operation, or None."""
        query = select(operations).where(operations.c.operation_id == operation_id)
        async with self.database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else operation_of(row)

    async def change(
        self,
        operation_id: str,
        *,
        allowed: Collection[OperationStatus],
        attempt: int | None = None,
        of_owner: str | None = None,
        next_attempt: bool = False,
        **values: Any,
    ) -> Operation | None:
        """Set `values` where the operation is in one of the `allowed` states, at that `attempt` and of that owner;
        revision + 1.

        The operation as changed, or None: then nothing was changed. A runner names its attempt, which makes its owner
        this process; who names neither speaks of the operation whoever runs it, such as the user who cancels it.
        """
        guards: list[ColumnElement[bool]] = [
            operations.c.operation_id == operation_id,
            operations.c.status.in_([status.value for status in allowed]),
        ]
        if attempt is not None:
            guards.append(operations.c.attempt == attempt)
            guards.append(operations.c.owner == (of_owner or self.owner))
        new = {name: plain(value) for name, value in values.items()}
        counted = ("revision", "attempt") if next_attempt else ("revision",)
        new |= {name: operations.c[name] + 1 for name in counted}
        changed = update(operations).where(*guards).values(new).returning(operations)
        async with self.database.writing() as connection:
            row = (await connection.execute(changed)).mappings().one_or_none()
        return None if row is None else operation_of(row)

    async def callback_of(self, operation_id: str) -> str | None:
        """The sha256 of the token with which the operation's host may call back; None while it has no session."""
        query = select(operations.c.callback_sha256).where(operations.c.operation_id == operation_id)
        async with self.database.reading() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def retry(self, operation_id: str, request: TrainingRequest) -> Operation | None:
        """Queue a failed or cancelled operation in this process as its next attempt; its end is forgotten, and so is
        its session."""
        return await self.change(
            operation_id,
            allowed=(OperationStatus.FAILED, OperationStatus.CANCELLED),
            status=OperationStatus.QUEUED,
            next_attempt=True,
            owner=self.owner,
            request=request,
            callback_sha256=None,
            progress=None,
            error=None,
            ended_at=None,
        )

    async def adopt(
        self, operation: Operation, owner: str, *, next_attempt: bool = False, **values: Any
    ) -> Operation | None:
        """Make an operation of `owner`, who is dead or done, this process's own, unless it has changed since."""
        return await self.change(
            operation.operation_id,
            allowed=(operation.status,),
            attempt=operation.attempt,
            of_owner=owner,
            owner=self.owner,
            next_attempt=next_attempt,
            **values,
        )

    async def next_queued(self, mode: str, passing_over: Collection[str] = ()) -> Operation | None:
        """Which of this process's queued operations of that mode is to run next, but for those."""
        mine: list[ColumnElement[bool]] = [operations.c.owner == self.owner, operations.c.execution_mode == mode]
        if passing_over:
            mine.append(operations.c.operation_id.not_in(passing_over))
        query = _in_states(select(operations), [OperationStatus.QUEUED]).where(*mine).order_by(*_TURN).limit(1)
        async with self.database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else operation_of(row)

    async def queue_positions(self) -> dict[str, int]:
        """Where each queued operation stands among those of its mode: 1 is the next to run."""
        ids = select(operations.c.operation_id, operations.c.execution_mode)
        async with self.database.reading() as connection:
            rows = (await connection.execute(_in_states(ids, [OperationStatus.QUEUED]).order_by(*_TURN))).all()
        ahead: Counter[str] = Counter()
        positions = {}
        for operation_id, mode in rows:
            ahead[mode] += 1
            positions[operation_id] = ahead[mode]
        return positions

    async def page(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[OperationSummary]:
        """Operations in any of these states, of that strategy and type (what is not given: any), newest first."""
        newest = operations.c.created_at.desc(), operations.c.operation_id.desc()
        found = _such(select(*SUMMARY), statuses, strategy, type)
        query = found.order_by(*newest).limit(limit).offset(offset)
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [OperationSummary.model_validate(dict(row)) for row in rows]

    async def unfinished(self) -> dict[str, list[Operation]]:
        """The operations that have not ended, of other processes, by owner."""
        open_states = [status for status in OperationStatus if not status.ended]
        others = _in_states(select(operations), open_states).where(operations.c.owner != self.owner).order_by(*_TURN)
        found: dict[str, list[Operation]] = {}
        async with self.database.reading() as connection:
            for row in (await connection.execute(others)).mappings():
                found.setdefault(row["owner"], []).append(operation_of(row))
        return found

    async def forget(self, ended_before: datetime) -> list[str]:
        """Remove the operations that ended before that moment; their ids. Models and looks at test ranges stay."""
        old = delete(operations).where(operations.c.ended_at < ended_before).returning(operations.c.operation_id)
        async with self.database.writing() as connection:
            return list((await connection.execute(old)).scalars())

    async def count(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
    ) -> int:
        """How many operations there are of those that `page` would list."""
        query = _such(select(func.count()).select_from(operations), statuses, strategy, type)
        async with self.database.reading() as connection:
            return (await connection.execute(query)).scalar_one()

    async def counts(self) -> list[tuple[OperationStatus, str, int, datetime]]:
        """For each state and mode: how many operations there are, and when the oldest was created."""
        state = operations.c.status, operations.c.execution_mode
        query = select(*state, func.count(), func.min(operations.c.created_at)).group_by(*state)
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [(OperationStatus(status), mode, count, oldest) for status, mode, count, oldest in rows]

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
        async with self.database.writing() as connection:
            if evaluated.operation_id is None or (await connection.execute(known)).first() is None:
                await connection.execute(insert(evaluated_ranges).values(values))
            return await _count_looks(
                connection, evaluated.symbols, evaluated.timeframe, evaluated.start, evaluated.end
            )

    async def count_evaluations(self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime) -> int:
        """How often a range that overlaps [start, end) has been looked at, of any of these symbols."""
        async with self.database.reading() as connection:
            return await _count_looks(connection, symbols, timeframe, start, end)

    async def aclose(self) -> None:
        """Close the database."""
        await self.database.aclose()


_TURN = operations.c.priority.desc(), operations.c.created_at, operations.c.operation_id


def _in_states(query: Select[*_Row], statuses: Collection[OperationStatus]) -> Select[*_Row]:
    return query.where(operations.c.status.in_([status.value for status in statuses])) if statuses else query


def _such(
    query: Select[*_Row], statuses: Collection[OperationStatus], strategy: str | None, type: OperationType | None
) -> Select[*_Row]:
    wanted = {"strategy_name": strategy, "type": type}
    guards = [operations.c[name] == value for name, value in wanted.items() if value is not None]
    return _in_states(query, statuses).where(*guards)


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
