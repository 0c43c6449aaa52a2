"""The store: what was committed stays, what is stale changes nothing, and a database that cannot be used says so."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from ktrdr.contracts.operations import EvaluatedRange, Operation, OperationStatus, Progress
from ktrdr.contracts.training import Phase
from ktrdr.errors import Conflict, InvalidSettings, StorageFailed
from ktrdr.orchestration import migrate, tables
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.operation_store import OperationStore

ONLY_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def operation(request_for, operation_id="a", *, status=OperationStatus.QUEUED, at=AT, **changes):
    return Operation(
        operation_id=operation_id,
        strategy_name="demo",
        status=status,
        attempt=1,
        revision=1,
        request=request_for(operation_id),
        execution_mode="local",
        execution_reason="asked for",
        created_at=at,
        **changes,
    )


async def test_round_trip(store, url, request_for):
    """What was inserted is read back equal, by this store and by another one on the same file."""
    written = operation(request_for, started_at=AT, error={"code": "x"})
    await store.insert(written)
    other = await OperationStore.open(url, migrate.upgrade, owner="other")
    assert await store.get("a") == await other.get("a") == written
    assert await store.get("b") is None
    await other.aclose()


async def test_id_taken(store, request_for):
    """An id is given once."""
    await store.insert(operation(request_for))
    with pytest.raises(Conflict, match="exists already"):
        await store.insert(operation(request_for))


async def test_guards(store, request_for):
    """A change with another attempt or from another state changes nothing, not even the revision."""
    await store.insert(operation(request_for))
    queued = (OperationStatus.QUEUED,)
    assert await store.change("a", allowed=queued, attempt=2, status=OperationStatus.RUNNING) is None
    assert await store.change("a", allowed=(OperationStatus.RUNNING,), attempt=1, error={}) is None
    assert (await store.get("a")).revision == 1
    changed = await store.change("a", allowed=queued, attempt=1, status=OperationStatus.RUNNING)
    assert changed == await store.get("a")
    assert (changed.revision, changed.status) == (2, OperationStatus.RUNNING)


async def test_numbers_of_other_libraries(store, request_for):
    """Details that are not plain JSON are stored as plain values; what is not a number becomes null."""

    class Scalar:
        def item(self) -> float:
            return 0.5

    await store.insert(operation(request_for))
    details = {"loss": Scalar(), "worst": float("nan"), "path": Path("x")}
    progress = Progress(phase=Phase.TRAINING, message="m", fraction=0.5, details=details)
    changed = await store.change("a", allowed=(OperationStatus.QUEUED,), progress=progress)
    assert changed.progress.details == {"loss": 0.5, "worst": None, "path": "x"}


async def test_page(store, request_for):
    """Newest first, by state, in pages, with counts that agree."""
    for number in range(5):
        status = OperationStatus.COMPLETED if number % 2 else OperationStatus.FAILED
        await store.insert(operation(request_for, f"op{number}", status=status, at=AT + timedelta(seconds=number)))
    assert [row.operation_id for row in await store.page(limit=2, offset=1)] == ["op3", "op2"]
    completed = (OperationStatus.COMPLETED,)
    assert [row.operation_id for row in await store.page(completed)] == ["op3", "op1"]
    assert (await store.count(), await store.count(completed)) == (5, 2)
    for wanted, count in (({"strategy": "demo"}, 5), ({"strategy": "x"}, 0), ({"type": "null_test"}, 0)):
        assert await store.count(**wanted) == len(await store.page(**wanted)) == count
    assert [row.operation_id for row in await store.page(completed, strategy="demo", type="training", limit=1)] == [
        "op3"
    ]


async def test_evaluations(store):
    """A look counts itself and every earlier one at an overlapping range of a shared symbol; told twice, once."""

    def look(operation_id, symbols, first, last, timeframe="1h"):
        return EvaluatedRange(
            operation_id=operation_id,
            model="demo/EURUSD_1h_v1",
            symbols=symbols,
            timeframe=timeframe,
            start=AT + timedelta(days=first),
            end=AT + timedelta(days=last),
            data_digest="d",
            at=AT,
        )

    assert await store.record_evaluation(look("a", ["EURUSD"], 0, 10)) == 1
    assert await store.record_evaluation(look("a", ["EURUSD"], 0, 10)) == 1
    assert await store.record_evaluation(look("b", ["EURUSD", "GBPUSD"], 9, 12)) == 2
    assert await store.record_evaluation(look("c", ["EURUSD"], 10, 11)) == 2, "ranges are half open"
    assert await store.record_evaluation(look("d", ["USDJPY"], 0, 12)) == 1
    assert await store.record_evaluation(look("e", ["EURUSD"], 0, 12, "1d")) == 1
    assert await store.record_evaluation(look(None, ["EURUSD"], 0, 12)) == 4
    assert await store.record_evaluation(look(None, ["EURUSD"], 0, 12)) == 5, "evaluations by hand each count"
    assert await store.count_evaluations(["GBPUSD"], "1h", AT, AT + timedelta(days=20)) == 1


@ONLY_SQLITE
async def test_upgraded_once(url):
    """The upgrade is asked for by an empty database and never again; the migrations make exactly the code's tables."""
    asked = []

    async def upgrade(which):
        asked.append(which)
        await migrate.upgrade(which)

    for _ in range(2):
        await (await OperationStore.open(url, upgrade, owner="test")).aclose()
    assert len(asked) == 1
    await migrate.upgrade(url)
    await migrate.check(url)


def test_revisions_are_all_known():
    """The list of revisions that the store compares with is the one in the migrations folder."""
    from alembic.script import ScriptDirectory

    scripts = list(ScriptDirectory.from_config(migrate.config()).walk_revisions())
    assert tuple(script.revision for script in reversed(scripts)) == tables.REVISIONS


async def test_check_sees_a_difference(url):
    """A database that lacks an index does not pass the check; a store opened on it would not know."""
    await (await OperationStore.open(url, migrate.upgrade, owner="test")).aclose()
    database = Database(url)
    async with database.writing() as connection:
        await connection.execute(text("DROP INDEX ix_operations_created_at_operation_id"))
    await database.aclose()
    with pytest.raises(StorageFailed, match="cannot be migrated"):
        await migrate.check(url)


async def test_newer_database(store, url):
    """A database of a newer program is left alone."""
    async with store.database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageFailed, match="newer KTRDR"):
        await OperationStore.open(url, migrate.upgrade, owner="test")


async def test_unusable_places(tmp_path):
    """A folder that cannot be made, a file that is no database, a database that may not be written."""
    blocker = tmp_path / "file"
    blocker.write_bytes(b"this is no database, " * 100)
    for url in (f"sqlite:///{blocker}/x/operations.db", f"sqlite:///{blocker}", f"sqlite:///{tmp_path}"):
        with pytest.raises(StorageFailed, match=r"cannot be (made|used|opened)"):
            await OperationStore.open(url, migrate.upgrade, owner="test")
    good = tmp_path / "good.db"
    await (await OperationStore.open(f"sqlite:///{good}", migrate.upgrade, owner="test")).aclose()
    readonly = await OperationStore.open(f"sqlite:///file:{good}?mode=ro&uri=true", migrate.upgrade, owner="test")
    with pytest.raises(StorageFailed, match="cannot be opened and written"):
        await readonly.change("a", allowed=(), status="x")
    await readonly.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+nothing:///x",
        "sqlite+pysqlite:///x",
        "mysql+mysqldb://h/d",
    ],
)
async def test_unusable_urls(url):
    """A URL that cannot be read, or names a driver that is not there."""
    with pytest.raises(InvalidSettings):
        await OperationStore.open(url, migrate.upgrade, owner="test")


async def test_never_upgraded_by_the_way(tmp_path, monkeypatch):
    """A database that is not a file of ours is refused until someone has upgraded it on purpose."""
    monkeypatch.setattr(Database, "file", None)
    with pytest.raises(StorageFailed, match="run `ktrdr db upgrade`"):
        await OperationStore.open(f"sqlite:///{tmp_path}/server.db", migrate.upgrade, owner="test")


@ONLY_SQLITE
async def test_busy_database(store, url, request_for, monkeypatch):
    """A database that another process holds for too long fails the write with a sentence, and nothing else."""
    monkeypatch.setattr("ktrdr.orchestration.database._PRAGMAS", ("PRAGMA busy_timeout = 10",))
    impatient = await OperationStore.open(url, migrate.upgrade, owner="other")
    async with store.database.writing():
        with pytest.raises(StorageFailed, match="has been busy"):
            await impatient.insert(operation(request_for))
    await impatient.insert(operation(request_for))
    await impatient.aclose()


@ONLY_SQLITE
async def test_full_disk(store, request_for):
    """A full disk fails the write with a sentence, and the store works on when there is room again."""
    async with store.database.writing() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1"))
    large = operation(request_for, "large", error={"message": "x" * 100_000})
    with pytest.raises(StorageFailed, match="full: make room"):
        await store.insert(large)
    assert await store.count() == 0
    async with store.database.writing() as connection:
        await connection.execute(text("PRAGMA max_page_count = 100000"))
    await store.insert(large)
    assert await store.count() == 1


@ONLY_SQLITE
async def test_durable_settings(store):
    """SQLite waits for others, syncs every commit and keeps no write-ahead log."""
    async with store.database.reading() as connection:
        names = ("busy_timeout", "journal_mode", "synchronous", "foreign_keys")
        values = [(await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in names]
    assert values == [30000, "truncate", 2, 1]


def test_postgresql_takes_the_tables():
    """The same tables compile for PostgreSQL, with its JSON and its times."""
    made = "".join(
        str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in tables.metadata.sorted_tables
    )
    assert "JSONB" in made
    assert "TIMESTAMP WITH TIME ZONE" in made


def test_naive_times_are_refused():
    """A time without its zone is a mistake; one of another zone is stored in UTC."""
    kind = tables.UtcDateTime()
    with pytest.raises(ValueError, match="without its zone"):
        kind.process_bind_param(datetime(2026, 1, 1), postgresql.dialect())


WORKER = """
import asyncio, sys
from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.training import CancellationToken, TrainingRequest
from ktrdr.orchestration import migrate
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.operations_service import OperationsService

async def work(url, name):
    store = await OperationStore.open(url, migrate.upgrade, owner=name)
    service = OperationsService(store)
    for number in range(20):
        request = TrainingRequest(operation_id=f"{name}-{number}", strategy_name="demo", strategy={})
        await service.create(request, "local", "test")
        await service.start(request.operation_id, 1, CancellationToken())
        await service.fail(request.operation_id, 1, {"code": name})
    await store.aclose()

asyncio.run(work(*sys.argv[1:]))
"""


async def test_two_processes(url):
    """Two processes that open and fill one empty database at once lose nothing and wait for one another."""
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, url, name, stdout=subprocess.DEVNULL)
        for name in ("left", "right")
    ]
    assert [await worker.wait() for worker in workers] == [0, 0]
    store = await OperationStore.open(url, migrate.upgrade, owner="test")
    assert await store.count((OperationStatus.FAILED,)) == await store.count() == 40
    assert {row.revision for row in await store.page(limit=40)} == {3}
    await store.aclose()
