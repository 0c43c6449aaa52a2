"""Trainings from the wish to the end: planned before they cost, one at a time, ended whatever happens."""

import asyncio
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import text

from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.contracts.training import Phase, StartTraining
from ktrdr.errors import DataNotFound, InvalidRequest, ModeUnavailable, NotEnoughData, StorageFailed, StrategyNotFound
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.execution.runners.local import LocalTrainingRunner
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
from ktrdr.orchestration.training_service import TrainingService

DEMO = StartTraining(strategy_name="demo")


@pytest_asyncio.fixture
async def service_with(operations, fakes):
    made = []

    def make(executor, **options):
        selector = ExecutionModeSelector(default_mode="auto", local_has_gpu=lambda: False)
        runners = {"local": LocalTrainingRunner(lambda: executor)}
        service = TrainingService(operations, selector, runners, fakes.strategies, fakes.bars, **options)
        made.append(service)
        return service

    yield make
    for service in made:
        await service.aclose()


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


async def test_a_result_without_its_test_range(service_with, operations, request_for):
    """A look that cannot be counted is no reason to lose a model."""

    class Silent(FakeExecutor):
        def execute(self, *arguments):
            return super().execute(*arguments).model_copy(update={"data_summary": {}})

    done = await final(operations, await service_with(Silent()).start_training(DEMO))
    assert done.status is OperationStatus.COMPLETED
    assert done.result.data_summary == {}


async def test_three_ways_to_name_a_strategy(service_with, fakes):
    """A name, a text or a file, with overrides handed through; two of them or none are refused."""
    service = service_with(FakeExecutor())
    overrides = StrategyOverrides(seed=3)
    await service.plan(StartTraining(strategy_name="demo", overrides=overrides))
    await service.plan(StartTraining(strategy_text="x", source="upload", overrides=overrides))
    await service.plan(StartTraining(path=Path("a.yaml"), overrides=overrides))
    assert fakes.strategies.asked == [
        ("read", "demo", overrides),
        ("read_text", "x", "upload", overrides),
        ("read_file", Path("a.yaml"), overrides),
    ]
    for wrong in ({}, {"strategy_name": "demo", "path": Path("a.yaml")}):
        with pytest.raises(InvalidRequest, match="exactly one"):
            StartTraining(**wrong)


async def test_plan(service_with, operations):
    """A plan says what would be done and does nothing."""
    plan = await service_with(FakeExecutor()).plan(DEMO)
    assert plan.bars == {"EURUSD 1h": 6000}
    assert (plan.labels, plan.training, plan.model) == ({"source": "zigzag"}, {"epochs": 3}, {"type": "mlp"})
    assert (plan.execution_mode, plan.notices) == ("local", ["a notice"])
    assert await operations.count() == 0


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (StartTraining(strategy_name="x"), StrategyNotFound, "there is demo"),
        (StartTraining(path=Path("a"), overrides=StrategyOverrides(symbols=["X"])), DataNotFound, "no bars of X 1h"),
        (
            StartTraining(path=Path("a"), overrides=StrategyOverrides(start_date=datetime(2019, 1, 1, tzinfo=UTC))),
            DataNotFound,
            "from 2019-01-01 to the end: those stored go from 2017-01-01 to 2018-01-01",
        ),
        (DEMO.model_copy(update={"execution_mode": "host"}), ModeUnavailable, "no host service"),
        (DEMO.model_copy(update={"require_gpu": True}), ModeUnavailable, "a GPU is required"),
    ],
)
async def test_mistakes_cost_nothing(service_with, operations, wanted, error, says):
    """What can be found wrong beforehand is, and leaves no operation behind."""
    service = service_with(FakeExecutor())
    for attempt in (service.plan, service.start_training):
        with pytest.raises(error, match=says):
            await attempt(wanted)
    assert await operations.count() == 0


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
    assert await operations.count(OperationStatus.RUNNING) <= 1
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
    assert (await service.cancel(first.operation_id)).status is OperationStatus.CANCELLING
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
    task = service._tasks[started.operation_id]
    task.cancel()
    await asyncio.wait({task})
    assert (await operations.get(started.operation_id)).status is OperationStatus.CANCELLED


async def test_superseded_before_it_started(service_with, operations, store):
    """A queued training whose attempt is another's by now does not run."""
    epochs = []
    service = service_with(FakeExecutor(on_epoch=epochs.append))
    started = await service.start_training(DEMO)
    async with store._database.writing() as connection:
        await connection.execute(text("UPDATE operations SET attempt = 2"))
    await asyncio.wait({service._tasks[started.operation_id]})
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
    selector = ExecutionModeSelector(default_mode="auto", local_has_gpu=lambda: False)
    service = TrainingService(operations, selector, {}, fakes.strategies, fakes.bars)
    with pytest.raises(ModeUnavailable, match="in mode local"):
        await service.start_training(DEMO)
