"""Execution on another machine: a session of a host service, followed until its result is here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ktrdr.contracts.hosts import (
    HostDirectory,
    HostEntry,
    SeriesNeeded,
    SessionBook,
    SessionStart,
    callback_token,
)
from ktrdr.contracts.training import CancellationToken, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.errors import KtrdrError, NotPlaced, SessionNotFound, TrainingCancelled
from ktrdr.execution.files import remove_tree
from ktrdr.execution.runners.host_link import HostLinks
from ktrdr.execution.runners.host_session import FollowedSession, Patience
from ktrdr.logs import get_logger

_FIRST_WAIT = 1.0
"""Seconds; each wait for a host that cannot be told to stop is twice the one before."""
_log = get_logger("host runner")


class HostSessionManager:
    """The TrainingRunner of mode `host`. `public_url` is where hosts find this backend; without one, results are
    fetched and bars have to lie on the host."""

    def __init__(
        self,
        hosts: HostDirectory,
        links: HostLinks,
        book: SessionBook,
        *,
        series_of: Callable[[TrainingRequest], Sequence[SeriesNeeded]],
        scratch: Path,
        keep_log: Callable[[str, list[dict[str, Any]]], object] = lambda *_: None,
        public_url: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`series_of` names the bars of a request; it blocks. Large results are fetched into `scratch`; what the host
        has logged of a training is kept by `keep_log`."""
        self.public_url = public_url
        self._hosts = hosts
        self._links = links
        self._book = book
        self._series_of = series_of
        self._scratch = scratch
        self._keep_log = keep_log
        self._patience = patience or Patience()

    async def run(
        self, request: TrainingRequest, progress: ProgressCallback, cancellation: CancellationToken
    ) -> TrainingResult:
        """Train on the request's host; a session that is there already is followed, not started again.

        Raises NotPlaced when the host takes no training now; then nothing was started. A run that is suspended leaves
        the host training.
        """
        operation_id = request.operation_id
        host = await self._hosts.entry(request.host or "")
        series = await asyncio.to_thread(self._series_of, request)
        wanted = self._start(request, series)
        known = await self._book.opened(operation_id, request.attempt, _token(wanted))
        with self._book.expect(operation_id) as arrival:
            session = FollowedSession(
                self._links, self._book, host, wanted, arrival, progress, cancellation, self._patience, self._scratch
            )
            self._hosts.taken(host.name)
            try:
                await session.begin(known=known)
                result = await session.follow()
                await self._bring_log(host, operation_id)
                await session.tidy()
                return result
            except NotPlaced:
                await self._book.closed(operation_id, request.attempt)
                raise
            except KtrdrError as error:
                if isinstance(error, TrainingCancelled) and cancellation.suspended:
                    raise
                await self._bring_log(host, operation_id)
                came = await arrival.close()  # from here on, what comes is refused
                await session.tidy()
                if came is None:
                    raise
                return came
            except asyncio.CancelledError:
                with suppress(KtrdrError):
                    await self._links.stop(host, operation_id)
                raise

    async def _bring_log(self, host: HostEntry, operation_id: str) -> None:
        with suppress(KtrdrError):
            lines = await self._links.log(host, operation_id)
            await asyncio.to_thread(self._keep_log, operation_id, lines)

    async def tidy(self, older_than: float = 7 * 24 * 3600.0) -> None:
        """Remove what was fetched for trainings that nobody has followed for so many seconds."""
        await asyncio.to_thread(_remove_old, self._scratch, time.time() - older_than)

    async def stop(self, host_name: str, session_id: str) -> None:
        """End a session that nobody follows any more; tried for a while, and raises nothing."""
        wait = _FIRST_WAIT
        for _ in range(8):
            try:
                host = await self._hosts.entry(host_name)
                await self._links.stop(host, session_id)
            except SessionNotFound:
                return
            except KtrdrError as error:
                _log.warning("a session cannot be stopped yet", host=host_name, session_id=session_id, why=str(error))
                await asyncio.sleep(wait)
                wait *= 2
            else:
                return

    def _start(self, request: TrainingRequest, series: Sequence[SeriesNeeded]) -> SessionStart:
        public = self.public_url
        return SessionStart(
            session_id=request.operation_id,
            request=request,
            series=list(series),
            callback_url=f"{public}/api/v1/trainings/results" if public else None,
            bars_url=f"{public}/api/v1/data" if public else None,
            callback_token=SecretStr(callback_token(request.operation_id)),
            resume=not request.from_start,
        )


def _remove_old(scratch: Path, before: float) -> None:
    for place in scratch.glob("*"):
        with suppress(OSError):
            if place.stat().st_mtime < before:
                remove_tree(place)


def _token(wanted: SessionStart) -> str:
    return wanted.callback_token.get_secret_value() if wanted.callback_token else ""
