"""A training in a process of its own: its result comes back, and its faults stay there."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio
from tests.execution.runners.executors import Told
from tests.support import ROOT

from ktrdr.contracts.training import CancellationToken, Phase, TrainingRequest, TrainingResult
from ktrdr.errors import DataRefused, ProcessDied, TrainingCancelled, TrainingFailed
from ktrdr.execution.runners.process import ProcessTrainingRunner


@pytest_asyncio.fixture
async def runner():
    made = ProcessTrainingRunner(Told, kill_after=0.3)
    yield made
    await made.aclose()
    assert multiprocessing.active_children() == []


async def run(
    runner: ProcessTrainingRunner, what: str, progress: Any = None, token: CancellationToken | None = None
) -> TrainingResult:
    request = TrainingRequest(operation_id="a", strategy_name=what, strategy={})
    return await runner.run(request, progress or (lambda *_, **__: None), token or CancellationToken())


async def test_a_child_trains_and_is_kept(runner):
    """The result and the progress come back, thinned out but with the last; the child serves the next one too."""
    told = []

    def tell(phase, message, **details):
        told.append((phase, details))

    first = await run(runner, "train", tell)
    second = await run(runner, "train")
    assert first.resource_usage == second.resource_usage != {"pid": os.getpid()}
    assert list(dict.fromkeys(phase for phase, _ in told)) == list(Phase)
    epochs = [details["epoch"] for phase, details in told if "epoch" in details]
    assert epochs[-1] == 200
    assert len(epochs) < 200


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("refuse", DataRefused, "these bars are odd"),
        ("break", RuntimeError, "ZeroDivisionError: by zero"),
        ("eat", TrainingFailed, "more memory than there is"),
        ("exit", ProcessDied, "exit code 3"),
        ("die", ProcessDied, "memory runs out"),
    ],
)
async def test_a_fault_is_that_trainings_alone(runner, what, error, says):
    """It comes back as what it is; the next training finds a child."""
    with pytest.raises(error, match=says):
        await run(runner, what)
    assert (await run(runner, "train")).model_path


async def test_a_cancel_is_seen_at_the_next_batch(runner):
    """In milliseconds, and the child lives on."""
    token, asked = CancellationToken(), []

    def tell(phase, message, **details):
        asked.append(time.monotonic())
        token.cancel()

    with pytest.raises(TrainingCancelled) as cancelled:
        await run(runner, "batches", tell, token)
    assert float(str(cancelled.value)) - asked[0] < 0.2
    pid = (await run(runner, "train")).resource_usage
    assert (await run(runner, "train")).resource_usage == pid


async def test_who_does_not_listen_is_killed(runner):
    """After its deadline, with all that it has started."""
    token = CancellationToken()
    with pytest.raises(TrainingCancelled, match="was killed"):
        await run(runner, "deaf", lambda *_, **__: token.cancel(), token)
    assert (await run(runner, "train")).model_path


async def test_two_at_once_have_a_child_each(runner):
    """They do not wait for one another."""
    results = await asyncio.gather(run(runner, "train"), run(runner, "train"))
    assert len({result.resource_usage["pid"] for result in results}) == 2


async def test_trainings_take_none_of_the_threads_that_short_work_shares(runner):
    """With one such thread and two trainings under way, what is asked of it is answered."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    token, begun = CancellationToken(), asyncio.Event()
    loop = asyncio.get_running_loop()
    trainings = [
        asyncio.create_task(run(runner, "batches", lambda *_, **__: loop.call_soon_threadsafe(begun.set), token))
        for _ in range(2)
    ]
    await begun.wait()
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "answered"), 10) == "answered"
    token.cancel()
    assert {type(end) for end in await asyncio.gather(*trainings, return_exceptions=True)} == {TrainingCancelled}


async def test_a_warm_child_is_the_one_that_trains(runner):
    """It was started before."""
    await runner.warm()
    (child,) = multiprocessing.active_children()
    assert (await run(runner, "train")).resource_usage == {"pid": child.pid}


PARENT = """
import asyncio, os
from tests.execution.runners.executors import Told
from ktrdr.contracts.training import CancellationToken, TrainingRequest
from ktrdr.execution.runners.process import ProcessTrainingRunner

def tell(*_, **__):
    print(runner_pid(), flush=True)

def runner_pid():
    import multiprocessing
    return multiprocessing.active_children()[0].pid

if __name__ == "__main__":
    request = TrainingRequest(operation_id="a", strategy_name="deaf", strategy={})
    asyncio.run(ProcessTrainingRunner(Told).run(request, tell, CancellationToken()))
"""


def test_a_child_does_not_outlive_its_parent(tmp_path):
    """Not even one that listens to nothing, when the parent is killed."""
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    for _ in range(500):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the child is still there")
