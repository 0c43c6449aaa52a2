"""The process that trains for another one: it runs what comes through its pipe, and ends when the pipe does."""

import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from ktrdr.contracts.training import Executor, Phase, TrainingRequest
from ktrdr.errors import KtrdrError, TrainingFailed
from ktrdr.execution.runners.throttle import Throttle
from ktrdr.logs import get_logger, operation_context

_log = get_logger("child")


class Flag(Protocol):
    """A number in memory that two processes share."""

    value: int


def train_for_parent(pipe: Connection, cancelled: Flag, make_executor: Callable[[], Executor]) -> None:
    """Run each TrainingRequest that comes, one after the other; the process ends with the pipe.

    Answers are `("progress", phase, message, details)`, then one of `("result", TrainingResult)`,
    `("error", details)` and `("bug", description)`.
    """
    os.setpgrp()  # Ctrl-C in the parent's terminal is the parent's, and a kill takes whatever is started here too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    requests: queue.SimpleQueue[TrainingRequest] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, requests), daemon=True).start()
    with suppress(KtrdrError):
        make_executor()  # imports what is slow to import; what is wrong is told by the training
    while True:
        request = requests.get()
        with operation_context(request.operation_id):
            pipe.send(_train(request, pipe, cancelled, make_executor))


def _receive(pipe: Connection, requests: "queue.SimpleQueue[TrainingRequest]") -> None:
    with suppress(EOFError, OSError):
        while True:
            requests.put(pipe.recv())
    os._exit(0)  # nobody is left to train for


def _train(
    request: TrainingRequest, pipe: Connection, cancelled: Flag, make_executor: Callable[[], Executor]
) -> tuple[Any, ...]:
    def tell(phase: Phase, message: str, **details: Any) -> None:
        pipe.send(("progress", phase, message, details))

    progress = Throttle(tell)
    try:
        result = make_executor().execute(request, progress, lambda: bool(cancelled.value))
        progress.flush()
        return "result", result
    except KtrdrError as error:
        return "error", error.details()
    except MemoryError:
        return "error", _out_of_memory().details()
    except Exception as error:  # noqa: BLE001 - told to the parent, which decides what it means
        if "allocate memory" in str(error) or "out of memory" in str(error):
            return "error", _out_of_memory().details()
        _log.exception("training broke")
        return "bug", f"{type(error).__name__}: {error}"


def _out_of_memory() -> TrainingFailed:
    return TrainingFailed("the training needs more memory than there is: use fewer bars, or a smaller model or batch")
