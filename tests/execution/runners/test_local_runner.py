"""The local runner: a thread for the training, and never a thread left behind."""

import asyncio
import threading
import time

import pytest

from ktrdr.contracts.training import CancellationToken, Phase, TrainingRequest
from ktrdr.errors import NotEnoughData, TrainingCancelled
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.execution.runners.local import LocalTrainingRunner

REQUEST = TrainingRequest(operation_id="a", strategy_name="demo", strategy={})


def ignore(phase, message, **details):
    return None


async def test_result_and_progress():
    """The result is the executor's; progress comes from another thread; the loop stays free meanwhile."""
    threads, phases = set(), []

    def hear(phase, message, **details):
        threads.add(threading.current_thread())
        phases.append(phase)

    runner = LocalTrainingRunner(lambda: FakeExecutor(epochs=5, seconds=0.01))
    training = asyncio.create_task(runner.run(REQUEST, hear, CancellationToken()))
    ticks = 0
    while not training.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert (await training).model_path == "demo/FAKE_1h_v1"
    assert ticks > 5
    assert list(dict.fromkeys(phases)) == list(Phase)
    assert threading.current_thread() not in threads


async def test_executor_is_made_in_the_thread():
    """What is slow to make does not hold up the loop."""
    made_in = []

    def make():
        made_in.append(threading.current_thread())
        return FakeExecutor()

    await LocalTrainingRunner(make).run(REQUEST, ignore, CancellationToken())
    assert made_in[0] is not threading.current_thread()


async def test_errors_come_through():
    """What the executor raises is what the runner raises."""

    def fail(epoch):
        raise NotEnoughData("too few")

    with pytest.raises(NotEnoughData, match="too few"):
        await LocalTrainingRunner(lambda: FakeExecutor(on_epoch=fail)).run(REQUEST, ignore, CancellationToken())


async def test_cancellation_token():
    """A token set before the start ends the training at its first step."""
    token = CancellationToken()
    token.cancel()
    with pytest.raises(TrainingCancelled):
        await LocalTrainingRunner(FakeExecutor).run(REQUEST, ignore, token)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancelled_task_waits_for_its_thread(stubborn):
    """When the awaiting task is cancelled, once or again and again, the thread has ended before the task does,
    whether it heard the cancel or had come to its end."""
    began, ended = threading.Event(), threading.Event()

    class Slow:
        def execute(self, request, progress, is_cancelled):
            try:
                if stubborn:
                    began.set()
                    time.sleep(0.1)
                    return FakeExecutor().execute(request, progress, lambda: False)
                return FakeExecutor(epochs=1000, seconds=0.02, on_epoch=lambda epoch: began.set()).execute(
                    request, progress, is_cancelled
                )
            finally:
                ended.set()

    token = CancellationToken()
    task = asyncio.create_task(LocalTrainingRunner(Slow).run(REQUEST, ignore, token))
    await asyncio.to_thread(began.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert token.is_cancelled()
