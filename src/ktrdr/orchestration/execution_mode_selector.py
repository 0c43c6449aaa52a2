"""Decides where a training runs, and says why."""

import asyncio
from collections.abc import Callable

from ktrdr.contracts.values import Value
from ktrdr.errors import InvalidRequest, ModeUnavailable
from ktrdr.logs import get_logger

_log = get_logger("mode")


class Selection(Value):
    """A concrete execution mode, and the reason for it in words that a user can check."""

    mode: str
    reason: str


class ExecutionModeSelector:
    """Chooses among the modes there are: what the request says, else the system's default, else what fits."""

    def __init__(self, *, default_mode: str, local_has_gpu: Callable[[], bool]) -> None:
        """`local_has_gpu` may be slow: it is asked in a thread, and only when a GPU is required."""
        self._default_mode = default_mode
        self._local_has_gpu = local_has_gpu

    async def select(self, requested: str | None, *, require_gpu: bool = False) -> Selection:
        """The mode to run in; `requested=None` leaves it to the system's default.

        Raises InvalidRequest for a mode that does not exist and ModeUnavailable for one that cannot be had.
        """
        wanted = requested or self._default_mode
        origin = "requested" if requested else "the system's default"
        if wanted == "host":
            raise ModeUnavailable("no host service is configured: use --mode local")
        if wanted not in ("auto", "local"):
            raise InvalidRequest(f"there is no execution mode {wanted!r}: use auto or local")
        if require_gpu and not await asyncio.to_thread(self._local_has_gpu):
            raise ModeUnavailable(
                "a GPU is required, this machine has none and no host service is configured: do without --require-gpu"
            )
        selection = Selection(mode="local", reason=_reason(wanted, origin, require_gpu))
        _log.info("execution mode selected", requested=requested, require_gpu=require_gpu, **selection.model_dump())
        return selection


def _reason(wanted: str, origin: str, require_gpu: bool) -> str:
    gpu = "; the GPU it requires is on this machine" if require_gpu else ""
    if wanted == "local":
        return f"local is {origin}{gpu}"
    return f"auto is {origin}{gpu or '; no GPU is required, and local starts fastest'}"
