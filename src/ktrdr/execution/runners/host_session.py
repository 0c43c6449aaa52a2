"""One session on a host, as the backend sees it: begun, polled, stopped, and its result brought home."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ktrdr.contracts.hosts import (
    Arrival,
    Delivery,
    HostEntry,
    ResultPayload,
    SessionBook,
    SessionStart,
    SessionState,
    SessionStatus,
)
from ktrdr.contracts.training import CancellationToken, Phase, ProgressCallback, TrainingResult
from ktrdr.errors import (
    KtrdrError,
    NotPlaced,
    ProcessDied,
    SessionNotFound,
    StorageFailed,
    TrainingCancelled,
    TransferCorrupt,
    Unavailable,
    restore,
)
from ktrdr.execution.files import make_folder, remove_tree, storage_failures
from ktrdr.execution.runners.host_link import HostLinks
from ktrdr.execution.transfer.sending import CONTEXT, STATE
from ktrdr.logs import get_logger

_log = get_logger("host session")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds, and how often. A host silent for `lost` is called unreachable; one that has not stopped in `stopping`
    is given up; a finished result that does not come by itself is fetched after `callback`. Polls are `first` to
    `longest` apart. A training that its host has lost is begun again `resumes` times at most, a result that comes
    corrupt, or that one side's disk refuses, fetched `fetches` times."""

    lost: float = 30.0
    stopping: float = 30.0
    callback: float = 10.0
    first: float = 0.25
    longest: float = 2.0
    resumes: int = 5
    fetches: int = 3


class FollowedSession:
    """Bound to one event loop."""

    def __init__(
        self,
        links: HostLinks,
        book: SessionBook,
        host: HostEntry,
        wanted: SessionStart,
        arrival: Arrival,
        progress: ProgressCallback,
        cancellation: CancellationToken,
        patience: Patience,
        scratch: Path,
    ) -> None:
        self._links = links
        self._book = book
        self._host = host
        self._wanted = wanted
        self._id = wanted.session_id
        self._arrival = arrival
        self._progress = progress
        self._token = cancellation
        self._patience = patience
        self._scratch = scratch / wanted.session_id
        self._heard = time.monotonic()
        self._silent = self._told = False
        self._shown = -1
        self._phase = Phase.DATA_LOADING
        self._pause = patience.first
        loop = asyncio.get_running_loop()
        cancellation.on_cancel(lambda: _soon(loop, arrival.news))

    async def begin(self, *, known: bool) -> None:
        """Start the session or find it. One that was not `known` before may be refused: NotPlaced, and Unauthorized
        when the host has another key."""
        while True:
            try:
                self._take(await self._links.start(self._host, self._wanted))
            except NotPlaced as error:
                if not known:
                    raise
                self._miss(error)
            except Unavailable as error:
                known = True  # it may have heard: from now on it is followed there and nowhere else
                self._miss(error)
            else:
                return
            await self._wait()
            if self._token.cancelled:
                return

    async def follow(self) -> TrainingResult:
        """The result, once its model is stored here. Raises what ended the training otherwise."""
        finished: float | None = None
        resumes = fetches = 0
        while True:
            if self._arrival.result is not None:
                return self._arrival.result
            if self._token.cancelled:
                return await self._stop()
            try:
                state = await self._state()
                if self._arrival.result is not None:
                    continue  # it came while the host was asked
                if state.status is SessionStatus.FINISHED:
                    finished = finished or time.monotonic()
                    waited = time.monotonic() - finished > self._patience.callback
                    if self._arrival.announced or state.delivery is not Delivery.PENDING or waited:
                        return await self._fetch()
                elif state.status is SessionStatus.INTERRUPTED:
                    resumes += 1
                    if resumes > self._patience.resumes:
                        raise ProcessDied(
                            f"the host {self._host.name} has lost this training {resumes} times: see its log, then"
                            f" `ktrdr operations retry {self._id}`"
                        )
                    _log.warning("the host was restarted: the training resumes", host=self._host.name)
                    await self.begin(known=True)
                elif not state.status.active:
                    raise _end_of(state)
            except (TransferCorrupt, StorageFailed) as error:
                fetches += 1
                if fetches >= self._patience.fetches:
                    raise
                self._miss(error, finished)
            except Unavailable as error:
                self._miss(error, finished)
            await self._wait()

    async def _state(self) -> SessionState:
        """Where the session is. Raises Unavailable for whatever is no answer to that."""
        with _patiently():
            try:
                return self._take(await self._links.status(self._host, self._id))
            except SessionNotFound:
                _log.warning("the host has forgotten the session: it is begun anew", host=self._host.name)
                await self.begin(known=True)
                return self._take(await self._links.status(self._host, self._id))

    def _take(self, state: SessionState) -> SessionState:
        """Pass on what is new; the clock of the silence starts anew."""
        self._heard, news = time.monotonic(), state.progress
        if news is not None and (state.revision > self._shown or self._silent):
            self._phase = news.phase
            details = {name: value for name, value in news.details.items() if name not in ("phase", "message")}
            self._progress(news.phase, news.message, **details)
        self._shown, self._silent = state.revision, False
        self._told = self._told and state.status is SessionStatus.FINISHED
        return state

    def _miss(self, error: KtrdrError, finished: float | None = None) -> None:
        """The host does not answer, or not with what was asked for; `finished` is when its training was seen to be."""
        name, silence = self._host.name, time.monotonic() - (finished or self._heard)
        _log.debug("no answer from the host", host=name, seconds=silence, error=str(error))
        if silence < self._patience.lost:
            return
        if not self._told:
            _log.warning("host unreachable", host=name, finished=finished is not None, error=str(error))
        self._told, self._silent = True, finished is None
        said = f"the host {name} is unreachable for {silence:.0f} s; its training goes on"
        if finished is not None:
            said = f"the host {name} has finished; its result cannot be fetched for {silence:.0f} s"
        self._progress(self._phase, said, unreachable=True, silent_seconds=silence, why=str(error))

    async def _wait(self) -> None:
        """Until the next poll, or until there is news."""
        news = self._arrival.news
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await news.wait()
        news.clear()
        self._pause = min(self._pause * 1.5, self._patience.longest)

    async def _stop(self) -> TrainingResult:
        """See the cancel through. A result that came before it is kept; else raises TrainingCancelled."""
        if self._token.suspended:
            raise TrainingCancelled("this process stops following the training; its host goes on")
        until, pause, error = time.monotonic() + self._patience.stopping, 0.05, "it still trains"
        while time.monotonic() < until:
            try:
                state = await self._links.stop(self._host, self._id)
                if state.status is SessionStatus.FINISHED:
                    await self._links.received(self._host, self._id)  # nobody wants it: the host need not keep it
                if not state.status.active:
                    raise TrainingCancelled("the training was cancelled")
            except SessionNotFound:
                raise TrainingCancelled("the training was cancelled before its host had it") from None
            except TrainingCancelled:
                raise
            except KtrdrError as failure:
                error = str(failure)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)
        _log.warning("the host did not stop: it is given up", host=self._host.name, why=error)
        raise TrainingCancelled(f"the host {self._host.name} did not stop in time: its result will be refused")

    async def _fetch(self) -> TrainingResult:
        """Bring the result home. What came of a large one is kept for the next try, unless it is corrupt."""
        try:
            with _patiently():
                payload = await self._links.result(self._host, self._id)
                files = await self._files(payload)
        except KtrdrError as error:
            if isinstance(error, TransferCorrupt):
                await self.tidy()
            if not self._token.cancelled:
                self._book.failed("fetch", error)
            raise
        try:
            result = await self._book.accept(self._id, payload, files)
        except TransferCorrupt:
            await self.tidy()
            raise
        with suppress(KtrdrError):
            await self._links.received(self._host, self._id)
        return result

    async def tidy(self) -> None:
        """Forget what was fetched."""
        with suppress(OSError):  # the next start tries again
            await asyncio.to_thread(remove_tree, self._scratch)

    async def _files(self, payload: ResultPayload) -> dict[str, Path]:
        if payload.session_id != self._id:
            raise TransferCorrupt(f"the host {self._host.name} gave out the result of {payload.session_id[:100]!r}")
        if payload.model_state_dict_b64 is not None and payload.context_b64 is not None:
            return {}
        fetched = {}
        with storage_failures("fetch a result", self._scratch):
            await asyncio.to_thread(make_folder, self._scratch)
            for name, packed, file in (
                ("model_state_dict", payload.model_state_dict, STATE),
                ("context", payload.context, CONTEXT),
            ):
                target = fetched[name] = self._scratch / f"{packed.sha256}.gz"  # another result is another file
                stop, size = self._token.is_cancelled, packed.compressed_size
                await self._links.download(self._host, self._id, file, target, size, is_cancelled=stop)
        return fetched


@contextmanager
def _patiently() -> Iterator[None]:
    """Whatever is wrong with an answer of the host, a proxy's page or another key, it may be right next time."""
    try:
        yield
    except (TransferCorrupt, StorageFailed):
        raise
    except KtrdrError as error:
        raise Unavailable(str(error)) from None


def _end_of(state: SessionState) -> KtrdrError:
    if state.status is SessionStatus.CANCELLED:
        return TrainingCancelled("the training was stopped on its host")
    return restore(state.error or {"code": "training_failed", "message": "the training failed on its host"})


def _soon(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(event.set)
