"""The trainings of this host: started, followed, stopped, delivered; found again after a restart."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from ktrdr.contracts.hosts import Delivery, SeriesNeeded, SessionStart, SessionState, SessionStatus
from ktrdr.contracts.training import CheckpointStore, TrainingRunner
from ktrdr.errors import KtrdrError, NotPlaced, SessionNotFound, StorageFailed, TrainingCancelled
from ktrdr.execution.files import remove_tree
from ktrdr.host_service.session import TrainingSession
from ktrdr.logs import get_logger, operation_context

_log = get_logger("host")


class Courier(Protocol):
    """Brings results to their backends."""

    def check(self, wanted: SessionStart) -> None:
        """Raises Forbidden when this host sends nothing to where that start points to."""

    async def deliver(self, session: TrainingSession) -> Delivery:
        """What became of the result; raises nothing."""


class Sessions:
    """Every session of one folder. Bound to one event loop; `open` it first, `suspend` it before that ends."""

    def __init__(
        self,
        root: Path,
        runner: TrainingRunner,
        courier: Courier,
        *,
        prepare: Callable[[TrainingSession], Awaitable[None]],
        release: Callable[[Sequence[SeriesNeeded]], object],
        checkpoints: CheckpointStore,
        slots: int = 1,
        keep_for: timedelta = timedelta(days=7),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`prepare` brings here what a session needs to train, `release` lets go of all bars but those. What has ended
        is kept for `keep_for`; a result that is nowhere else is kept until it is fetched."""
        self.slots = slots
        self._root = root
        self._runner = runner
        self._courier = courier
        self._prepare = prepare
        self._release = release
        self._checkpoints = checkpoints
        self._keep_for = keep_for
        self._clock = clock
        self._sessions: dict[str, TrainingSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._open = False

    @property
    def free_slots(self) -> int:
        """How many trainings could start now; none while this host starts or stops."""
        if not self._open:
            return 0
        return self.slots - sum(session.state.status.active for session in self._sessions.values())

    async def open(self) -> None:
        """Find the sessions of the folder: what ran is interrupted, what has finished is delivered again."""
        for folder in sorted(self._root.glob("[!.]*")):
            try:
                session = await asyncio.to_thread(TrainingSession.read, folder)
            except StorageFailed as error:
                _log.warning("a session is passed over", reason=str(error))
                continue
            if session.state.status.active:
                stopping = session.state.status is SessionStatus.STOPPING
                ended = SessionStatus.CANCELLED if stopping else SessionStatus.INTERRUPTED
                session.end(SessionStatus.FINISHED if session.has_model else ended, self._clock())
            self._sessions[session.state.session_id] = session
            if session.state.delivery is Delivery.PENDING:
                self._do(session, self._deliver(session))
        self.forget()
        self._open = True

    async def start(self, wanted: SessionStart) -> SessionState:
        """Train, unless that session trains or has trained already. Raises Forbidden for a callback that is not on
        the list, and NotPlaced when there is no slot."""
        self._courier.check(wanted)
        session = self._sessions.get(wanted.session_id)
        later = session is None or wanted.request.attempt > session.state.attempt
        if session is not None and not self._begins_again(session, wanted, later=later):
            session.adopt(wanted)
            return session.state
        if self.free_slots < 1:
            busy = f"its {self.slots} slots are taken" if self._open else "it starts or stops"
            raise NotPlaced(f"this host takes no training now, {busy}: try another one, or later")
        self.forget()
        if session is None:
            session = self._sessions[wanted.session_id] = TrainingSession.begin(self._root, wanted, self._clock())
        else:
            session.begin_again(wanted, self._clock())
        if later and not wanted.resume:
            self._checkpoints.discard(wanted.session_id)
        self._do(session, self._run(session))
        return session.state

    def _begins_again(self, session: TrainingSession, wanted: SessionStart, *, later: bool) -> bool:
        """Whether this start is more than the one before said once more."""
        state = session.state
        if state.status is SessionStatus.STOPPING:
            raise NotPlaced(f"the session {state.session_id} is still stopping: try again in a moment")
        if state.status is SessionStatus.FINISHED:
            return later and not wanted.resume
        return state.status is SessionStatus.INTERRUPTED or (later and not state.status.active)

    def session(self, session_id: str) -> TrainingSession:
        """Raises SessionNotFound."""
        if session_id not in self._sessions:
            raise SessionNotFound(f"this host has no session {session_id}")
        return self._sessions[session_id]

    def stop(self, session_id: str) -> SessionState:
        """Cancel its training: it ends at the next batch or step. What has ended stays as it is."""
        session = self.session(session_id)
        session.cancellation.cancel()
        if session.state.status is SessionStatus.RUNNING:
            session.change(status=SessionStatus.STOPPING)
        return session.state

    def received(self, session_id: str) -> SessionState:
        """The backend has fetched the result, and its model is stored."""
        session = self.session(session_id)
        if session.state.status is SessionStatus.FINISHED:
            session.change(delivery=Delivery.DELIVERED)
        return session.state

    async def suspend(self) -> None:
        """Start nothing more and stop every training where it stands; deliveries go on at the next start."""
        self._open = False
        for session in self._sessions.values():
            if session.state.status.active:
                session.cancellation.suspend()
            elif task := self._tasks.get(session.state.session_id):
                task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def forget(self) -> None:
        """Remove what ended long ago, unless it is the only place that has a model."""
        before = self._clock() - self._keep_for
        for session_id, session in [*self._sessions.items()]:
            state = session.state
            nowhere_else = state.delivery in (Delivery.PENDING, Delivery.KEPT)
            if state.ended_at is not None and state.ended_at < before and not nowhere_else:
                del self._sessions[session_id]
                self._checkpoints.discard(session_id)
                remove_tree(session.folder)
        self._release([series for session in self._sessions.values() for series in session.wanted.series])

    def _do(self, session: TrainingSession, work: Awaitable[None]) -> None:
        session_id = session.state.session_id

        async def logged() -> None:
            with operation_context(session_id):
                await work

        task = self._tasks[session_id] = asyncio.create_task(logged(), name=session_id)
        task.add_done_callback(lambda done: self._tasks.pop(session_id) if self._tasks.get(session_id) is done else 0)

    async def _run(self, session: TrainingSession) -> None:
        """From running to the end, whatever happens."""
        token = session.cancellation
        try:
            await self._prepare(session)
            await self._runner.run(session.wanted.request, session.note, token)
        except (TrainingCancelled, asyncio.CancelledError):
            status, error = SessionStatus.INTERRUPTED if token.suspended else SessionStatus.CANCELLED, None
        except KtrdrError as failure:
            _log.warning("training failed", code=failure.code, error=str(failure))
            status, error = SessionStatus.FAILED, failure.details()
        except Exception as bug:  # noqa: BLE001 - a mistake of ours ends this session, not the service
            _log.exception("training broke")
            message = f"training broke on a mistake of the program ({type(bug).__name__}): see the host's log"
            status, error = SessionStatus.FAILED, {"code": "internal_error", "message": message}
        else:
            status, error = SessionStatus.FINISHED, None
        with suppress(StorageFailed):  # the disk is full: the next start finds what there is
            session.end(status, self._clock(), error=error)
        _log.info("session ended", status=session.state.status.value)
        await self._deliver(session)

    async def _deliver(self, session: TrainingSession) -> None:
        if session.state.delivery is Delivery.PENDING:
            became = await self._courier.deliver(session)
            if session.state.delivery is Delivery.PENDING:  # else it was fetched meanwhile
                with suppress(StorageFailed):  # as above
                    session.change(delivery=became)
