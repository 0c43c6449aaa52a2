"""Decides where a training runs, and says why."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ktrdr.contracts.hosts import HostDirectory, HostReport
from ktrdr.contracts.operations import LOCAL_INSTEAD
from ktrdr.contracts.values import Value
from ktrdr.errors import InvalidRequest, ModeUnavailable
from ktrdr.logs import get_logger

MODES = ("auto", "local", "host")
_log = get_logger("mode")


class Selection(Value):
    """A concrete execution mode, and the reason for it in words that a user can check.

    `host` is the host service that was chosen; one that `waits` has none yet: it stays in the queue until there is
    one. `fallback` marks a mode that takes the place of the one asked for.
    """

    mode: str
    reason: str
    host: str | None = None
    waits: bool = False
    fallback: bool = False


class ExecutionModeSelector:
    """Chooses among the modes there are: what the request says, else the system's default, else what fits."""

    def __init__(
        self,
        *,
        default_mode: Callable[[], Awaitable[str]],
        local_has_gpu: Callable[[], bool],
        hosts: HostDirectory,
    ) -> None:
        """`local_has_gpu` may be slow: it is asked in a thread, and only when a GPU is required."""
        self._default_mode = default_mode
        self._local_has_gpu = local_has_gpu
        self._hosts = hosts

    async def select(
        self,
        requested: str | None,
        *,
        require_gpu: bool = False,
        queue_if_unavailable: bool = False,
        before: str | None = None,
    ) -> Selection:
        """Where to run; `requested=None` leaves it to the system's default. Of hosts that are equally good, the one
        that trained it `before`.

        Raises InvalidRequest for a mode that does not exist and ModeUnavailable for one that cannot be had.
        """
        wanted = requested or await self._default_mode()
        origin = f"{wanted} is {'requested' if requested else 'the default'}"
        if wanted not in MODES:
            raise InvalidRequest(f"there is no execution mode {wanted!r}: use {', '.join(MODES)}")
        if wanted == "host" or (wanted == "auto" and require_gpu):
            selection = await self._on_a_host(wanted, origin, before, gpu=require_gpu, queue=queue_if_unavailable)
        elif not require_gpu:
            why = "" if wanted == "local" else "; no GPU is required, and local starts fastest"
            selection = Selection(mode="local", reason=origin + why)
        elif await self._gpu_here():
            selection = Selection(mode="local", reason=f"{origin}; the GPU it requires is on this machine")
        else:
            raise ModeUnavailable(
                "a GPU is required and this machine has none: use --mode auto or host, or do without --require-gpu"
            )
        log = _log.debug if selection.waits else _log.info  # one that waits is asked about every few seconds
        log("execution mode selected", requested=requested, require_gpu=require_gpu, **selection.model_dump())
        return selection

    async def _on_a_host(self, wanted: str, origin: str, before: str | None, *, gpu: bool, queue: bool) -> Selection:
        reports = await self._hosts.reports()
        fitting = [one for one in reports if one.health is not None and (one.health.has_gpu or not gpu)]
        free = [one for one in fitting if one.health is not None and one.health.free_slots > 0]
        if free:
            best = min(free, key=lambda one: (_load(one), one.host.name != before, one.host.name))
            what = f"; host {best.host.name} is the least loaded{' with a GPU' if gpu else ''}"
            return Selection(mode="host", host=best.host.name, reason=origin + what)
        if wanted == "auto" and await self._gpu_here():
            return Selection(mode="local", reason=f"{origin}; the GPU it requires is on this machine")
        if fitting:
            return Selection(mode="host", waits=True, reason=f"{origin}; it waits for a slot, all hosts are busy")
        missing = _missing(reports, gpu=gpu)
        if not gpu:
            return Selection(mode="local", fallback=True, reason=f"{origin}, but {missing}: {LOCAL_INSTEAD}")
        if queue:
            return Selection(mode="host", waits=True, reason=f"{origin}; it waits for a GPU: {missing}")
        raise ModeUnavailable(
            f"a GPU is required and {missing}: `ktrdr hosts check` tells more; --queue waits for one,"
            " or do without --require-gpu"
        )

    async def _gpu_here(self) -> bool:
        return await asyncio.to_thread(self._local_has_gpu)


def _load(report: HostReport) -> float:
    health = report.health
    return 1.0 if health is None else 1.0 - health.free_slots / health.slots


def _missing(reports: Sequence[HostReport], *, gpu: bool) -> str:
    """Why none of them will do."""
    if not reports:
        return "no host service is registered"
    silent = [f"{report.host.name}: {report.error}" for report in reports if report.health is None]
    if len(silent) == len(reports):
        return f"no host service answers ({'; '.join(silent)[:300]})"
    return "no host service that answers has one" if gpu else "no host service is free"
