"""What a dead process leaves is taken over by a server, once, and what a living one does is left alone."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text

from ktrdr.contracts.operations import OperationStatus as S
from ktrdr.contracts.training import CancellationToken
from ktrdr.errors import StorageFailed
from ktrdr.orchestration import migrate
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.owners import new_owner, owner_locks, role_of
from ktrdr.orchestration.recovery import Recovery


@pytest_asyncio.fixture
async def locks(store, tmp_path):
    """As the database needs them."""
    made = owner_locks(store.database, tmp_path / "owners")
    yield made
    await made.aclose()


async def left_by(url, owner, request_for, state):
    """An operation of another process in that state, and its store."""
    store = await OperationStore.open(url, migrate.upgrade, owner=owner)
    service = OperationsService(store, store_every=60)
    await service.create(request_for("a"), "local", "asked for")
    if state is not S.QUEUED:
        await service.start("a", 1, CancellationToken())
    if state is S.CANCELLING:
        await service.request_cancel("a")
    await service.aclose()
    await store.aclose()


def recovery(store, locks, fakes, **options):
    woken = []
    return Recovery(store, locks, fakes.checkpoints, wake=lambda: woken.append(1), **options), woken


@pytest.mark.parametrize(
    ("role", "state", "then", "attempt"),
    [
        ("serve", S.QUEUED, S.QUEUED, 1),
        ("serve", S.RUNNING, S.QUEUED, 2),
        ("serve", S.CANCELLING, S.CANCELLED, 1),
        ("embedded", S.QUEUED, S.FAILED, 1),
        ("embedded", S.RUNNING, S.FAILED, 1),
        ("embedded", S.CANCELLING, S.CANCELLED, 1),
    ],
)
async def test_what_a_dead_process_leaves(store, url, locks, fakes, request_for, role, state, then, attempt):
    """A server's work goes on; a command's is not started by surprise, and says how to go on."""
    await left_by(url, new_owner(role), request_for, state)
    service, woken = recovery(store, locks, fakes)
    assert await service.recover() == 1
    found = await store.get("a")
    assert (found.status, found.attempt) == (then, attempt)
    assert await service.recover() == 0
    assert woken == [1]
    if then is S.QUEUED:
        assert (await store.next_queued("local")).operation_id == "a"
    if then is S.FAILED:
        assert found.error["code"] == "interrupted"
        assert "ktrdr operations retry a" in found.error["message"]


async def test_what_a_living_process_does_is_left_alone(store, url, locks, fakes, request_for, tmp_path, until):
    """As long as it holds its lock; it ends with the process, however that dies."""
    owner = new_owner("serve")
    await left_by(url, owner, request_for, S.RUNNING)
    holder = (
        "import asyncio; from pathlib import Path; from ktrdr.orchestration.database import Database; "
        "from ktrdr.orchestration.owners import owner_locks\n"
        "async def hold():\n"
        f"    locks = owner_locks(Database({url!r}), Path({str(tmp_path / 'owners')!r}))\n"
        f"    assert await locks.take({owner!r})\n"
        "    print('held', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(hold())"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout.readline() == "held\n"
        service, _ = recovery(store, locks, fakes)
        assert await service.recover() == 0
        assert (await store.get("a")).status is S.RUNNING
        process.kill()
        process.wait()

        async def recovered():  # PostgreSQL hears of it a moment later
            return await service.recover() == 1

        await until(recovered)
    assert (await store.get("a")).status is S.QUEUED


async def test_a_training_that_kills_its_process_is_not_tried_for_ever(store, url, locks, fakes, request_for):
    """After the last attempt it fails."""
    for attempt in range(1, 4):
        other = await OperationStore.open(url, migrate.upgrade, owner=new_owner("serve"))
        if attempt == 1:
            await OperationsService(other).create(request_for("a"), "local", "asked for")
        await Recovery(other, locks, fakes.checkpoints, wake=lambda: None, most_attempts=3).recover()
        await other.change("a", allowed=(S.QUEUED,), attempt=attempt, status=S.RUNNING)
        await other.aclose()
    await recovery(store, locks, fakes, most_attempts=3)[0].recover()
    found = await store.get("a")
    assert (found.status, found.attempt) == (S.FAILED, 3)
    assert "died 3 times" in found.error["message"]


async def test_two_servers_do_not_take_the_same(store, url, locks, fakes, request_for, tmp_path):
    """The second finds the lock of the dead one taken, or the operation changed."""
    owner = new_owner("serve")
    await left_by(url, owner, request_for, S.RUNNING)
    other = owner_locks(store.database, tmp_path / "owners")
    assert await other.take(owner)
    assert await recovery(store, locks, fakes)[0].recover() == 0
    (operation,) = (await store.unfinished())[owner]
    assert await store.adopt(operation, owner) is not None
    assert await store.adopt(operation, owner) is None
    await other.aclose()


async def test_old_ends_are_forgotten_with_what_they_left(store, locks, fakes, request_for):
    """Operations older than they are kept, with their checkpoints and logs; younger and open ones stay."""
    now, gone = datetime.now(UTC), []
    service = OperationsService(store)
    for name, days in (("old", 100), ("young", 1), ("open", None)):
        await service.create(request_for(name), "local", "asked for")
        if days is not None:
            await store.change(name, allowed=(S.QUEUED,), status=S.FAILED, ended_at=now - timedelta(days=days))
    await recovery(store, locks, fakes, keep_for=timedelta(days=90), forget_logs=gone.append)[0].forget()
    assert {row.operation_id for row in await store.page()} == {"young", "open"}
    assert fakes.checkpoints.discarded == gone == ["old"]
    await recovery(store, locks, fakes, forget_logs=gone.append)[0].forget()
    assert gone == ["old"]


async def test_a_lock_is_its_holders(locks, store, tmp_path):
    """Taken twice by its holder and by nobody else, released once, and no file is left."""
    other = owner_locks(store.database, tmp_path / "owners")
    for owner in ("serve-x", "serve-y"):
        assert await locks.take(owner)
        assert await locks.take(owner)
        assert not await other.take(owner)
        await locks.release(owner)
        await locks.release(owner)
        assert await other.take(owner)
        await other.release(owner)
    await other.aclose()
    assert not (tmp_path / "owners").exists() or list((tmp_path / "owners").iterdir()) == []
    assert (role_of(new_owner("serve")), role_of(new_owner("embedded"))) == ("serve", "embedded")


async def test_locks_survive_the_connection_that_held_them(postgresql, fakes, tmp_path):
    """PostgreSQL ends them with it: they are taken anew, and nobody else gets them once they are."""
    store = await OperationStore.open(postgresql, migrate.upgrade, owner="serve-a")
    other = await OperationStore.open(postgresql, migrate.upgrade, owner="serve-b")
    ours, theirs = (owner_locks(one.database, tmp_path) for one in (store, other))
    assert await ours.take("serve-a")
    for _ in range(2):
        async with other.database.writing() as connection:
            holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            ended = await connection.execute(text(holders))
            assert ended.scalar_one()
        await ours.keep()
        assert not await theirs.take("serve-a")
        assert await ours.take("serve-a")
    await ours.release("serve-a")
    assert await theirs.take("serve-a")
    for one in (ours, theirs, store, other):
        await one.aclose()


async def test_a_database_that_is_away_does_not_end_the_watch(store, fakes):
    """It looks again, for as long as it runs."""
    looked = asyncio.Event()

    class Away:
        count = 0

        async def keep(self):
            Away.count += 1
            if Away.count == 3:
                looked.set()
            raise StorageFailed("the database is away")

    service, _ = recovery(store, Away(), fakes, every=0.01)
    watch = asyncio.create_task(service.watch())
    await asyncio.wait_for(looked.wait(), 10)
    watch.cancel()
