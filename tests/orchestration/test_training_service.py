"""Trainings from the wish to the end: planned before they cost, one at a time, ended whatever happens."""

import asyncio
import threading
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import text

from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.contracts.training import CancellationToken, Phase, StartTraining, TrainingRequest
from ktrdr.errors import (
    Conflict,
    DataNotFound,
    InvalidRequest,
    ModeUnavailable,
    NotEnoughData,
    OperationNotFound,
    StorageFailed,
    StrategyNotFound,
)
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.execution.runners.local import LocalTrainingRunner
from ktrdr.orchestration.default_mode import DefaultMode
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
from ktrdr.orchestration.stored_settings import StoredSettings
from ktrdr.orchestration.training_planner import TrainingPlanner
from ktrdr.orchestration.training_queue import TrainingQueue
from ktrdr.orchestration.training_service import TrainingService

DEMO = StartTraining(strategy_name="demo")


@pytest_asyncio.fixture
async def service_with(operations, fakes):
    made = []

    def make(executor, **options):
        queue = TrainingQueue(operations, {"local": LocalTrainingRunner(lambda: executor)}, fakes.saved, **options)
        service = TrainingService(operations, planner(fakes), queue, fakes.checkpoints, modes(operations))
        made.append(service)
        return service

    yield make
    for service in made:
        await service.aclose()


def modes(operations):
    return DefaultMode(StoredSettings(operations._store.database), "auto")


class NoHosts:
    """A directory without hosts."""

    async def reports(self):
        return []


def planner(fakes):
    async def default_mode():
        return "auto"

    selector = ExecutionModeSelector(default_mode=default_mode, local_has_gpu=lambda: False, hosts=NoHosts())
    return TrainingPlanner(fakes.strategies, fakes.bars, selector)


async def final(operations, operation):
    async for state in operations.watch(operation.operation_id):
        last = state
    return last


async def test_a_training(service_with, operations):
    """The operation is stored before the answer; it completes with the result and the count of test looks."""
    news = []
    service = service_with(FakeExecutor(), consumers=(news.append,))
    looks = []
    for _ in range(2):
        started = await service.start_training(DEMO)
        assert started.status is OperationStatus.QUEUED
        assert started.operation_id.startswith("train-")
        assert started.execution_mode == started.request.execution_mode == "local"
        done = await final(operations, started)
        assert done.status is OperationStatus.COMPLETED
        assert done.result.model_path == "demo/FAKE_1h_v1"
        looks.append(done.result.data_summary["test_evaluations"])
    assert looks == [1, 2]
    assert {each.phase for each in news} == set(Phase)


async def test_a_null_test(service_with, operations, fakes):
    """An operation of its own type, run locally; its walks reach the strategy as an override."""
    wanted = StartTraining(type="null_test", strategy_name="demo", overrides=StrategyOverrides(null_test=19))
    service = service_with(FakeExecutor())
    started = await service.start_training(wanted)
    assert started.operation_id.startswith("null-")
    assert (started.type, started.request.type, started.execution_mode) == ("null_test", "null_test", "local")
    assert started.request.requested_mode == "local"
    assert fakes.strategies.asked[-1][-1].null_test == 19
    assert (await final(operations, started)).status is OperationStatus.COMPLETED
    assert (await operations.page()).items[0].type == "null_test"
    with pytest.raises(ModeUnavailable, match="runs locally"):
        await service.start_training(wanted.model_copy(update={"execution_mode": "host"}))
    with pytest.raises(InvalidRequest, match="on how many walks"):
        StartTraining(type="null_test", strategy_name="demo")


async def test_a_result_without_its_test_range(service_with, operations, request_for):
    """A look that cannot be counted is no reason to lose a model."""

    class Silent(FakeExecutor):
        def execute(self, *arguments):
            return super().execute(*arguments).model_copy(update={"data_summary": {}})

    done = await final(operations, await service_with(Silent()).start_training(DEMO))
    assert done.status is OperationStatus.COMPLETED
    assert done.result.data_summary == {}


async def test_two_ways_to_name_a_strategy(service_with, fakes):
    """A name or a text, with overrides handed through; both of them or none are refused."""
    service = service_with(FakeExecutor())
    overrides = StrategyOverrides(seed=3)
    await service.plan(StartTraining(strategy_name="demo", overrides=overrides))
    await service.plan(StartTraining(strategy_text="x", source="upload", overrides=overrides))
    assert fakes.strategies.asked == [
        ("read", "demo", overrides),
        ("read_text", "x", "upload", overrides),
    ]
    for wrong in ({}, {"strategy_name": "demo", "strategy_text": "x"}):
        with pytest.raises(InvalidRequest, match="either a strategy's name or its text"):
            StartTraining(**wrong)


async def test_plan(service_with, operations):
    """A plan says what would be done and does nothing."""
    plan = await service_with(FakeExecutor()).plan(DEMO)
    assert (plan.bars, plan.resampled) == ({"EURUSD 1h": 6000}, {})
    assert (plan.labels, plan.training, plan.model) == ({"source": "zigzag"}, {"epochs": 3}, {"type": "mlp"})
    assert (plan.execution_mode, plan.notices) == ("local", ["a notice"])
    assert await operations._store.count() == 0


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (StartTraining(strategy_name="x"), StrategyNotFound, "there is demo"),
        (StartTraining(strategy_text="a", overrides=StrategyOverrides(symbols=["X"])), DataNotFound, "no bars of X 1h"),
        (
            StartTraining(strategy_text="a", overrides=StrategyOverrides(start_date=datetime(2019, 1, 1, tzinfo=UTC))),
            DataNotFound,
            "no bars of EURUSD 1h from 2019-01-01",
        ),
        (DEMO.model_copy(update={"execution_mode": "host", "require_gpu": True}), ModeUnavailable, "no host service"),
        (DEMO.model_copy(update={"require_gpu": True}), ModeUnavailable, "a GPU is required"),
    ],
)
async def test_mistakes_cost_nothing(service_with, operations, wanted, error, says):
    """What can be found wrong beforehand is, and leaves no operation behind."""
    service = service_with(FakeExecutor())
    for attempt in (service.plan, service.start_training):
        with pytest.raises(error, match=says):
            await attempt(wanted)
    assert await operations._store.count() == 0


async def test_expected_failure(service_with, operations):
    """A failure that is expected is on the operation as its error says it."""

    def fail(epoch):
        raise NotEnoughData("three rows are too few: use more bars")

    done = await final(operations, await service_with(FakeExecutor(on_epoch=fail)).start_training(DEMO))
    assert done.status is OperationStatus.FAILED
    assert done.error == {"code": "not_enough_data", "message": "three rows are too few: use more bars"}
    assert done.progress.phase is Phase.TRAINING


async def test_unexpected_failure(service_with, operations):
    """A mistake of the program fails that operation only: a sentence there, the stack trace in the log."""

    def fail(epoch):
        raise ZeroDivisionError("secret")

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        started = await service_with(FakeExecutor(on_epoch=fail)).start_training(DEMO)
        done = await final(operations, started)
    assert done.error["code"] == "internal_error"
    assert "secret" not in done.error["message"]
    broke = [line for line in lines if line["event"] == "training broke"]
    assert [line["operation_id"] for line in broke] == [started.operation_id]
    assert broke[0]["exc_info"]


async def test_the_thread_logs_under_the_operation(service_with, operations):
    """What the training's thread logs carries the operation id."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        executor = FakeExecutor(epochs=1, on_epoch=lambda epoch: structlog.get_logger().info("inside"))
        started = await service_with(executor).start_training(DEMO)
        await final(operations, started)
    assert [line["operation_id"] for line in lines if line["event"] == "inside"] == [started.operation_id]


async def test_one_at_a_time(service_with, operations):
    """Trainings of one mode wait for one another; the others stay queued."""
    inside, most = [], []

    def count(epoch):
        inside.append(epoch)
        most.append(len(inside))
        inside.pop()

    service = service_with(FakeExecutor(seconds=0.01, on_epoch=count))
    started = [await service.start_training(DEMO) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert await operations._store.count([OperationStatus.RUNNING]) <= 1
    ends = [await final(operations, operation) for operation in started]
    assert [end.status for end in ends] == [OperationStatus.COMPLETED] * 3
    assert all(earlier.ended_at <= later.started_at for earlier, later in pairwise(ends))
    assert max(most) == 1


async def test_cancel_running_and_queued(service_with, operations, until):
    """A queued training is cancelled at once and never runs; a running one at its next epoch."""
    epochs = []
    service = service_with(FakeExecutor(epochs=1000, seconds=0.01, on_epoch=epochs.append))
    first, second = [await service.start_training(DEMO) for _ in range(2)]

    async def under_way():
        return bool(epochs)

    await until(under_way)
    assert (await service.cancel(second.operation_id)).status is OperationStatus.CANCELLED
    asked = await service.cancel(first.operation_id)  # which the run may have heard of before the store has
    assert asked.status in (OperationStatus.CANCELLING, OperationStatus.CANCELLED)
    done = await final(operations, first)
    assert done.status is OperationStatus.CANCELLED
    await service.aclose()
    assert epochs.count(1) == 1
    assert (await operations.get(second.operation_id)).started_at is None


async def test_close(service_with, operations, until):
    """Closing ends every training, and every thread, and stores how each ended."""
    epochs = []
    service = service_with(FakeExecutor(epochs=1000, seconds=0.01, on_epoch=epochs.append))
    started = [await service.start_training(DEMO) for _ in range(3)]

    async def under_way():
        return bool(epochs)

    await until(under_way)
    await service.aclose()
    heard = len(epochs)
    ends = [(await operations.get(operation.operation_id)).status for operation in started]
    assert ends == [OperationStatus.CANCELLED] * 3
    await asyncio.sleep(0.03)
    assert len(epochs) == heard


async def test_task_cancelled_from_outside(service_with, operations, until):
    """When the loop itself cancels its tasks, as at its end, the training's end is still stored."""
    epochs = []
    service = service_with(FakeExecutor(epochs=1000, seconds=0.01, on_epoch=epochs.append))
    started = await service.start_training(DEMO)

    async def under_way():
        return bool(epochs)

    await until(under_way)
    task = service._queue._runs[started.operation_id]
    task.cancel()
    await asyncio.wait({task})
    assert (await operations.get(started.operation_id)).status is OperationStatus.CANCELLED


async def test_superseded_before_it_started(service_with, operations, store):
    """A queued training that another process has taken over does not run."""
    epochs = []
    service = service_with(FakeExecutor(on_epoch=epochs.append))
    started = await service.start_training(DEMO)
    async with store.database.writing() as connection:
        await connection.execute(text("UPDATE operations SET owner = 'another'"))
    await asyncio.sleep(0.05)
    assert epochs == []
    assert (await operations.get(started.operation_id)).status is OperationStatus.QUEUED


async def test_close_when_the_store_is_gone(service_with, operations, monkeypatch, until):
    """Closing ends the thread and the wait also when no cancel can be stored."""
    ended, epochs = threading.Event(), []

    class Watched(FakeExecutor):
        def execute(self, *arguments):
            try:
                return super().execute(*arguments)
            finally:
                ended.set()

    service = service_with(Watched(epochs=1000, seconds=0.01, on_epoch=epochs.append))
    started = await service.start_training(DEMO)

    async def under_way():
        return bool(epochs)

    await until(under_way)

    async def gone(*arguments, **values):
        raise StorageFailed("the disk is gone: put it back")

    monkeypatch.setattr(operations._store, "change", gone)
    await service.aclose()
    assert ended.is_set()
    done = await operations.get(started.operation_id)
    assert (done.status, done.error["code"]) == (OperationStatus.FAILED, "storage_failed")


async def test_a_start_that_cannot_be_stored(service_with, operations, monkeypatch):
    """When not even the start can be stored the training does not run, and its watchers hear of it."""

    async def gone(*arguments, **values):
        raise StorageFailed("the disk is gone: put it back")

    monkeypatch.setattr(operations._store, "change", gone)
    done = await final(operations, await service_with(FakeExecutor()).start_training(DEMO))
    assert (done.status, done.error["code"]) == (OperationStatus.FAILED, "storage_failed")


async def test_no_runner_for_the_mode(operations, fakes):
    """A mode that nothing here runs is refused before there is an operation."""
    queue = TrainingQueue(operations, {}, fakes.saved)
    service = TrainingService(operations, planner(fakes), queue, fakes.checkpoints, modes(operations))
    with pytest.raises(ModeUnavailable, match="in mode local"):
        await service.start_training(DEMO)


async def test_the_same_key_is_the_same_training(service_with, operations, fakes):
    """Sent again, or twice at once, it starts nothing; with another request it is refused."""
    service = service_with(FakeExecutor())
    wanted = DEMO.model_copy(update={"idempotency_key": "k"})
    first, second = await asyncio.gather(service.start_training(wanted), service.start_training(wanted))
    assert first.operation_id == second.operation_id
    await final(operations, first)
    fakes.strategies.asked.clear()
    assert (await service.start_training(wanted)).operation_id == first.operation_id
    assert fakes.strategies.asked == []
    with pytest.raises(InvalidRequest, match="came before with another request"):
        await service.start_training(wanted.model_copy(update={"priority": 3}))
    assert await operations._store.count() == 1


async def test_the_higher_priority_runs_first(service_with, operations, until):
    """Among those that wait; the list says at which place each stands."""
    hold = threading.Event()
    service = service_with(FakeExecutor(epochs=1, on_epoch=lambda _: hold.wait(5)))
    running = await service.start_training(DEMO)

    async def is_running():
        return (await operations.get(running.operation_id)).status is OperationStatus.RUNNING

    await until(is_running)
    low, middle, high = [
        await service.start_training(DEMO.model_copy(update={"priority": priority})) for priority in (-1, 0, 5)
    ]
    places = {one.operation_id: one.queue_position for one in (await operations.page()).items}
    assert [places[one.operation_id] for one in (high, middle, low, running)] == [1, 2, 3, None]
    assert (await operations.get(low.operation_id)).queue_position == 3
    hold.set()
    ends = [await final(operations, one) for one in (high, middle, low)]
    assert all(earlier.ended_at <= later.started_at for earlier, later in pairwise(ends))


async def test_as_many_run_as_there_are_slots(service_with, operations):
    """Two slots: two at a time."""
    together = threading.Barrier(2, timeout=5)
    service = service_with(FakeExecutor(epochs=1, on_epoch=lambda _: together.wait()), slots={"local": 2})
    started = [await service.start_training(DEMO) for _ in range(4)]
    assert {(await final(operations, one)).status for one in started} == {OperationStatus.COMPLETED}


async def test_a_suspended_run_waits_for_the_next_process(service_with, operations, until):
    """It is queued again at the same attempt; nothing more is started. A cancel that came before wins."""
    epochs = []
    service = service_with(FakeExecutor(epochs=1000, seconds=0.01, on_epoch=epochs.append))
    first, second = [await service.start_training(DEMO) for _ in range(2)]

    async def under_way():
        return bool(epochs)

    await until(under_way)
    await service._queue.suspend()
    await service.aclose()
    found = [await operations.get(one.operation_id) for one in (first, second)]
    assert [(one.status, one.attempt) for one in found] == [(OperationStatus.QUEUED, 1)] * 2
    assert found[0].started_at is not None
    assert found[1].started_at is None


async def test_a_cancel_wins_over_a_suspension(service_with, operations, until):
    """Who has asked for the end gets the end."""
    epochs = []
    service = service_with(FakeExecutor(epochs=1000, seconds=0.05, on_epoch=epochs.append))
    started = await service.start_training(DEMO)

    async def under_way():
        return bool(epochs)

    await until(under_way)
    await service.cancel(started.operation_id)
    await service._queue.suspend()
    assert (await operations.get(started.operation_id)).status is OperationStatus.CANCELLED


async def test_a_retry_is_the_next_attempt(service_with, operations, fakes):
    """Under the same id, from its checkpoint or from the start; only after a failure or a cancel."""
    fail = [True]

    def sometimes(epoch):
        if fail:
            raise NotEnoughData("three rows are too few: use more bars")

    service = service_with(FakeExecutor(on_epoch=sometimes))
    failed = await final(operations, await service.start_training(DEMO))
    fail.clear()
    again = await service.retry(failed.operation_id)
    assert (again.status, again.attempt, again.error) == (OperationStatus.QUEUED, 2, None)
    done = await final(operations, again)
    assert (done.status, done.attempt) == (OperationStatus.COMPLETED, 2)
    assert fakes.checkpoints.discarded == []
    with pytest.raises(Conflict, match="only failed or cancelled"):
        await service.retry(failed.operation_id)
    with pytest.raises(OperationNotFound):
        await service.retry("nobody")
    fail.append(True)
    failed = await final(operations, await service.start_training(DEMO))
    await final(operations, await service.retry(failed.operation_id, from_start=True))
    assert fakes.checkpoints.discarded == [failed.operation_id]


async def test_a_model_that_was_saved_is_not_trained_again(service_with, operations, fakes):
    """A run that was cut off between the save and its end is completed with what it saved."""
    epochs, result = (
        [],
        FakeExecutor().execute(
            TrainingRequest(operation_id="x", strategy_name="demo", strategy={}), lambda *_, **__: None, lambda: False
        ),
    )
    service = service_with(FakeExecutor(on_epoch=epochs.append))
    request = TrainingRequest(operation_id="cut-off", strategy_name="demo", strategy={})
    await operations.create(request, "local", "asked for")
    await operations.start("cut-off", 1, CancellationToken())
    await operations.requeue("cut-off", 1)
    fakes.saved.results["cut-off"] = result
    service._queue.wake()
    done = await final(operations, await operations.get("cut-off"))
    assert (done.status, done.result.model_path) == (OperationStatus.COMPLETED, result.model_path)
    assert epochs == []


async def test_a_server_waits_for_a_store_that_fails(service_with, operations, monkeypatch, until):
    """What is queued runs as soon as the store is there again."""
    service, change = service_with(FakeExecutor(), retry_every=0.02), operations._store.change
    broken = [True]

    async def sometimes(*arguments, **values):
        if broken:
            raise StorageFailed("the disk is gone: put it back")
        return await change(*arguments, **values)

    monkeypatch.setattr(operations._store, "change", sometimes)
    started = await service.start_training(DEMO)
    await asyncio.sleep(0.1)
    broken.clear()
    assert (await final(operations, started)).status is OperationStatus.COMPLETED
