"""Local execution in a process of its own: whatever a training does there, only that training suffers."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from ktrdr.contracts.training import CancellationToken, Executor, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.errors import ProcessDied, TrainingCancelled, restore
from ktrdr.execution.runners.child import Flag, train_for_parent
from ktrdr.logs import get_logger
from ktrdr.threads import Workers

MOST_CHILDREN = 64
"""Trainings at a time; each has a thread that hears its child."""
_log = get_logger("process runner")
_spawn = multiprocessing.get_context("spawn")


class Child:
    """A process that trains, and the pipe to it."""

    def __init__(self, make_executor: Callable[[], Executor]) -> None:
        self.cancelled: Flag = _spawn.RawValue(ctypes.c_byte, 0)
        self.pipe, theirs = _spawn.Pipe()
        self.process: BaseProcess = _spawn.Process(
            target=train_for_parent, args=(theirs, self.cancelled, make_executor), name="ktrdr training", daemon=True
        )
        self.process.start()
        theirs.close()

    def kill(self) -> None:
        """End it and everything it has started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()

    def dismiss(self, seconds: float = 2.0) -> None:
        """Close the pipe, at which it ends; kill it if it does not."""
        self.pipe.close()
        self.process.join(seconds)
        if self.process.is_alive():
            self.kill()
            self.process.join()


class ProcessTrainingRunner:
    """The TrainingRunner of mode `local` with isolation `process`. Children are kept for the next training."""

    def __init__(self, make_executor: Callable[[], Executor], *, kill_after: float = 10.0) -> None:
        """`make_executor` can be pickled; a child that ignores a cancel is killed after `kill_after` seconds."""
        self._make_executor = make_executor
        self._kill_after = kill_after
        self._idle: list[Child] = []
        self._lock = threading.Lock()
        self._threads = Workers(MOST_CHILDREN, "training")

    async def run(
        self, request: TrainingRequest, progress: ProgressCallback, cancellation: CancellationToken
    ) -> TrainingResult:
        """Train in a child. Raises ProcessDied when that dies, and TrainingCancelled when it had to be killed."""
        child = await self._threads.run(self._take)
        loop, deadline = asyncio.get_running_loop(), _Deadline(child, self._kill_after)
        cancellation.on_cancel(lambda: _cancel(child, loop, deadline))
        training = asyncio.ensure_future(self._threads.run(_converse, child, request, progress))
        try:
            result = await asyncio.shield(training)
        except asyncio.CancelledError:
            cancellation.cancel()
            with suppress(Exception):
                await training
            raise
        except EOFError:
            await self._threads.run(child.process.join)
            raise _end_of(child, cancelled=cancellation.cancelled) from None
        finally:
            deadline.call_off()
            self._give_back(child)
        return result

    async def warm(self) -> None:
        """Start a child before the first training asks for one."""
        self._give_back(await self._threads.run(self._take))

    async def aclose(self) -> None:
        """Dismiss every idle child."""
        with self._lock:
            idle, self._idle = self._idle, []
        await asyncio.gather(*(self._threads.run(child.dismiss) for child in idle))
        self._threads.close()

    def _take(self) -> Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.process.is_alive():
                    child.cancelled.value = 0
                    return child
        return Child(self._make_executor)

    def _give_back(self, child: Child) -> None:
        if child.process.is_alive():
            with self._lock:
                self._idle.append(child)


class _Deadline:
    """Kills a child that has not stopped in time."""

    def __init__(self, child: Child, seconds: float) -> None:
        self._child = child
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._kill)

    def call_off(self) -> None:
        self._seconds = 1e9
        if self._timer is not None:
            self._timer.cancel()

    def _kill(self) -> None:
        _log.warning("the training did not stop: its process is killed")
        self._child.kill()


def _cancel(child: Child, loop: asyncio.AbstractEventLoop, deadline: _Deadline) -> None:
    child.cancelled.value = 1
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(deadline.start)


def _converse(child: Child, request: TrainingRequest, progress: ProgressCallback) -> TrainingResult:
    """Send the request and hear the answers to the last one. Raises EOFError when the child is gone."""
    pipe: Connection = child.pipe
    try:
        pipe.send(request)
        while True:
            kind, *said = pipe.recv()
            if kind == "progress":
                phase, message, details = said
                progress(phase, message, **details)
            else:
                return _outcome(kind, said[0])
    except OSError:  # a broken pipe is the same news
        raise EOFError from None


def _outcome(kind: str, said: Any) -> TrainingResult:
    if kind == "result":
        result: TrainingResult = said
        return result
    if kind == "error":
        raise restore(said)
    raise RuntimeError(said)


def _end_of(child: Child, *, cancelled: bool) -> TrainingCancelled | ProcessDied:
    code = child.process.exitcode or 0
    if cancelled:
        return TrainingCancelled("the training was cancelled; its process did not stop in time and was killed")
    if code == -signal.SIGKILL:
        return ProcessDied(
            "the training's process was killed from outside, as the system does when memory runs out: "
            "use fewer bars, or a smaller model or batch"
        )
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return ProcessDied(f"the training's process ended {how}: see the server's log")
