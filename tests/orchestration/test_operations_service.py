"""The life of operations: lawful states, progress that costs nothing, watchers that always hear the end."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ktrdr.contracts.operations import OperationStatus, Progress
from ktrdr.contracts.training import CancellationToken, Phase, TrainingRequest
from ktrdr.errors import Conflict, OperationNotFound
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.orchestration import migrate
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.operations_service import OperationsService

S = OperationStatus


def progress(epoch=1, epochs=1000):
    details = {"epoch": epoch, "epochs": epochs}
    return Progress(phase=Phase.TRAINING, message=f"epoch {epoch}", fraction=epoch / epochs, details=details)


@pytest.fixture
def result(request_for):
    return FakeExecutor(epochs=1).execute(request_for("a"), lambda phase, message, **details: None, lambda: False)


async def running(operations, request_for, operation_id="a"):
    await operations.create(request_for(operation_id), "local", "asked for")
    token = CancellationToken()
    await operations.start(operation_id, 1, token)
    return token


async def test_whole_life(operations, request_for, result):
    """Created, started, completed: times in order, the result there, the progress whole."""
    await running(operations, request_for)
    assert operations.report_progress("a", 1, progress(500))
    done = await operations.complete("a", 1, result)
    assert done == await operations.get("a")
    assert (done.status, done.result, done.progress.fraction) == (S.COMPLETED, result, 1.0)
    assert done.created_at <= done.started_at <= done.ended_at
    assert [each.operation_id for each in (await operations.page([S.COMPLETED])).items] == ["a"]
    assert (await operations.page([S.COMPLETED])).total == 1


async def test_unknown(operations):
    """Every question about an operation that is not there says so."""
    for question in (
        operations.get("x"),
        operations.start("x", 1, CancellationToken()),
        operations.request_cancel("x"),
        operations.fail("x", 1, {}),
    ):
        with pytest.raises(OperationNotFound, match="no operation x"):
            await question


LEGAL = {
    S.QUEUED: {S.RUNNING, S.CANCELLED, S.FAILED},
    S.RUNNING: {S.CANCELLING, S.COMPLETED, S.FAILED, S.CANCELLED},
    S.CANCELLING: {S.COMPLETED, S.FAILED, S.CANCELLED},
    S.COMPLETED: set(),
    S.FAILED: set(),
    S.CANCELLED: set(),
}
CALLS = st.tuples(
    st.sampled_from(["start", "progress", "complete", "fail", "cancelled", "request_cancel"]),
    st.sampled_from([1, 1, 1, 0]),
)


async def _call(service, operation_id, name, attempt, result):
    match name:
        case "start":
            return await service.start(operation_id, attempt, CancellationToken())
        case "progress":
            return service.report_progress(operation_id, attempt, progress())
        case "complete":
            return await service.complete(operation_id, attempt, result)
        case "fail":
            return await service.fail(operation_id, attempt, {"code": "x"})
        case "cancelled":
            return await service.cancelled(operation_id, attempt)
        case _:
            return await service.request_cancel(operation_id)


async def _obey(service, operation_id, calls, result):
    before = await service.create(
        TrainingRequest(operation_id=operation_id, strategy_name="demo", strategy={}), "local", "law"
    )
    for name, attempt in calls:
        answer = None
        with suppress(Conflict):
            answer = await _call(service, operation_id, name, attempt, result)
        after = await service.get(operation_id)
        stale = attempt == 0 and name != "request_cancel"
        assert not (stale and answer), "a stale attempt learns that it is"
        assert after.status is before.status or (after.status in LEGAL[before.status] and not stale)
        assert after.revision - before.revision == (after.status is not before.status)
        assert after.status.ended == (after.ended_at is not None)
        assert before == after or not before.status.ended, "an end is for ever"
        before = after


def test_no_calls_break_the_law(url, result):
    """No sequence of calls, stale ones among them, reaches an illegal state, lowers a revision or changes an end."""
    with asyncio.Runner() as runner:
        store = runner.run(OperationStore.open(url, migrate.upgrade, owner="law"))
        service = OperationsService(store)
        numbers = iter(range(10**6))

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(CALLS, max_size=7))
        def law(calls):
            runner.run(_obey(service, f"law-{next(numbers)}", calls, result))

        law()
        runner.run(service.aclose())
        runner.run(store.aclose())


async def test_cancel_running(operations, request_for):
    """A cancel of a running operation sets its token, waits for nobody, and is answered alike when repeated."""
    token = await running(operations, request_for)
    assert (await operations.request_cancel("a")).status is S.CANCELLING
    assert token.is_cancelled()
    assert (await operations.request_cancel("a")).status is S.CANCELLING
    assert (await operations.cancelled("a", 1)).status is S.CANCELLED
    assert (await operations.request_cancel("a")).status is S.CANCELLED


async def test_cancel_too_late(operations, request_for, result):
    """What has completed cannot be cancelled, and what was being cancelled may still complete."""
    await running(operations, request_for)
    await operations.request_cancel("a")
    assert (await operations.complete("a", 1, result)).status is S.COMPLETED
    with pytest.raises(Conflict, match="completed and cannot be cancelled"):
        await operations.request_cancel("a")


async def test_cancel_from_another_process(operations, url, request_for, until):
    """A cancel written by another process reaches the run here with the next visit to the store."""
    token = await running(operations, request_for)
    store = await OperationStore.open(url, migrate.upgrade, owner="other")
    await OperationsService(store).request_cancel("a")
    await until(lambda: _is(token.is_cancelled()))
    assert (await operations.get("a")).status is S.CANCELLING
    await store.aclose()


async def test_superseded_run_is_cancelled(operations, store, request_for, until):
    """A run whose attempt is over in the store is told to stop, and what it writes changes nothing."""
    token = await running(operations, request_for)
    async with store.database.writing() as connection:
        await connection.execute(text("UPDATE operations SET attempt = 2"))
    await until(lambda: _is(token.is_cancelled()))
    assert await operations.fail("a", 1, {"code": "x"}) is None
    assert (await operations.get("a")).attempt == 2


async def _is(condition):
    return condition


async def test_progress_visible_at_once_and_stored_soon(operations, store, request_for, until):
    """A reader in this process sees progress before the store has it; the store gets the latest."""
    await running(operations, request_for)
    for epoch in range(1, 11):
        operations.report_progress("a", 1, progress(epoch))
        assert (await operations.get("a")).progress.details["epoch"] == epoch
        assert (await operations.page()).items[0].progress.details["epoch"] == epoch

    async def stored_last():
        stored = await store.get("a")
        return stored.progress is not None and stored.progress.details["epoch"] == 10

    await until(stored_last)
    assert (await store.get("a")).revision < 10, "ten reports are not ten writes"


async def test_progress_of_a_stale_attempt(operations, request_for):
    """An attempt that does not run here is not heard."""
    await running(operations, request_for)
    assert not operations.report_progress("a", 0, progress())
    assert not operations.report_progress("b", 1, progress())
    assert (await operations.get("a")).progress is None


async def test_hammering_thread(store, request_for):
    """100,000 reports from a thread cost a few times what calling an empty function costs, the loop stays awake,
    the store is not written for each, and the last report wins."""
    operations = OperationsService(store, store_every=0.05)
    await running(operations, request_for)
    news, nothing, costs = progress(7), lambda a, b, c: None, []

    def hammer():
        for report in (nothing, operations.report_progress):
            began = time.thread_time()
            for _ in range(100_000):
                report("a", 1, news)
            costs.append(time.thread_time() - began)
        for _ in range(10_000_000):  # until the loop had its turns, however busy the machine is
            if ticks > 3:
                break
            operations.report_progress("a", 1, news)

    ticks = 0
    thread = threading.Thread(target=hammer)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.001)
        ticks += 1
    thread.join()
    assert ticks > 3
    assert costs[1] < 60 * costs[0]
    assert (await operations.get("a")).progress == news
    done = await operations.cancelled("a", 1)
    assert done.progress == news
    assert done.revision < 50
    await operations.aclose()


async def test_report_after_the_loop_has_gone(operations, request_for, monkeypatch):
    """A thread that outlives the loop can report without harm."""
    await running(operations, request_for)
    run = operations._states.live["a"]
    closed = asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(run, "_loop", closed)
    assert await asyncio.to_thread(operations.report_progress, "a", 1, progress())


async def test_watch_to_the_end(operations, request_for, result):
    """A watcher sees the present first, each next state newer, and the end last; then the watch is over."""
    await operations.create(request_for("a"), "local", "asked for")

    async def live():
        await asyncio.sleep(0.03)
        await operations.start("a", 1, CancellationToken())
        for epoch in range(1, 6):
            operations.report_progress("a", 1, progress(epoch))
            await asyncio.sleep(0.02)
        await operations.complete("a", 1, result)

    life = asyncio.create_task(live())
    seen = [operation async for operation in operations.watch("a")]
    await life
    assert [seen[0].status, seen[-1].status] == [S.QUEUED, S.COMPLETED]
    assert seen[-1].result == result
    revisions = [operation.revision for operation in seen]
    assert revisions == sorted(revisions)
    epochs = [operation.progress.details["epoch"] for operation in seen if operation.progress]
    assert epochs == sorted(epochs)
    assert len(epochs) >= 3
    assert [operation async for operation in operations.watch("a")] == [seen[-1]]
    assert not operations._watchers._followers, "nobody is left waiting"


async def test_slow_watcher(operations, request_for):
    """A slow reader gets the latest, never a backlog, and does not hold up the run."""
    await running(operations, request_for)
    watch = operations.watch("a")
    await anext(watch)
    for epoch in range(1, 200):
        operations.report_progress("a", 1, progress(epoch))
    assert (await anext(watch)).progress.details["epoch"] == 199
    await operations.fail("a", 1, {"code": "x"})
    assert (await anext(watch)).status is S.FAILED
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_watch_from_another_process(operations, url, request_for, result, until):
    """An operation that runs elsewhere is followed through the store, to its end."""
    await running(operations, request_for)
    store = await OperationStore.open(url, migrate.upgrade, owner="other")
    seen = []

    async def follow():
        async for operation in OperationsService(store, show_every=0.01, look_every=0.02).watch("a"):
            seen.append(operation)

    follower = asyncio.create_task(follow())
    operations.report_progress("a", 1, progress(3))
    await until(lambda: _is(any(operation.progress for operation in seen)))
    await operations.complete("a", 1, result)
    async with asyncio.timeout(2):
        await follower
    assert seen[-1].status is S.COMPLETED
    await store.aclose()


async def test_watch_of_nothing(operations):
    """There is nothing to watch where there is no operation."""
    with pytest.raises(OperationNotFound):
        await anext(operations.watch("x"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_full_disk_at_the_end(operations, store, request_for, result):
    """When the end cannot be stored, training was not stopped by it, and readers here get an end that says where
    the model is."""
    await running(operations, request_for)
    big = progress().model_copy(update={"message": "x" * 50_000})
    async with store.database.writing() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1"))
    operations.report_progress("a", 1, big)
    await asyncio.sleep(0.2)
    assert (await operations.get("a")).progress == big
    done = await operations.complete("a", 1, result)
    assert done.status is S.FAILED
    assert result.model_path in done.error["message"]
    assert [operation.status async for operation in operations.watch("a")] == [S.FAILED]
    assert (await operations.get("a")).status is S.FAILED
    assert (await store.get("a")).status is S.RUNNING
