"""TrainingSession: one training on this host, from its start to its delivery, kept on disk in a folder of its own."""

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ktrdr.contracts.hosts import Delivery, SessionProgress, SessionStart, SessionState, SessionStatus
from ktrdr.contracts.training import CancellationToken, Phase
from ktrdr.errors import KtrdrError, StorageFailed
from ktrdr.execution.files import make_folder, replace_file, storage_failures
from ktrdr.execution.transfer.sending import forget_model, has_model, keep_series

_RECORD, _TOKEN = "session.json", "token"


class TrainingSession:
    """What was asked for, how far it came, and the folder that has its model. Changes are on disk when they return,
    but for progress, which is only told. `note` is for any thread, all else for one."""

    def __init__(self, folder: Path, wanted: SessionStart, state: SessionState) -> None:
        self.folder = folder
        self.wanted = wanted
        self.cancellation = CancellationToken()
        self._state = state
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, root: Path, wanted: SessionStart, now: datetime) -> Self:
        """A new session, on disk on return."""
        state = SessionState(
            session_id=wanted.session_id, attempt=wanted.request.attempt, status=SessionStatus.RUNNING, started_at=now
        )
        session = cls(root / wanted.session_id, wanted, state)
        with storage_failures("begin a session", session.folder):
            make_folder(session.folder)
            forget_model(session.folder)
        keep_series(session.folder, wanted.series)
        session._keep_wanted()
        return session

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The session that a folder has. Raises StorageFailed when it has none that can be read."""
        try:
            written = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            token = (folder / _TOKEN).read_text(encoding="ascii") if (folder / _TOKEN).is_file() else None
            wanted = SessionStart.model_validate(written["wanted"] | {"callback_token": token})
            return cls(folder, wanted, SessionState.model_validate(written["state"]))
        except (OSError, ValueError, LookupError, TypeError, KtrdrError) as error:
            raise StorageFailed(f"the session in {folder} cannot be read: {' '.join(str(error).split())}") from None

    @property
    def state(self) -> SessionState:
        """As it is told."""
        return self._state

    @property
    def has_model(self) -> bool:
        """Whether the training has left its model, all of it."""
        return has_model(self.folder)

    def begin_again(self, wanted: SessionStart, now: datetime) -> None:
        """Run once more, as `wanted`; the model of a run before is forgotten."""
        forget_model(self.folder)
        keep_series(self.folder, wanted.series)
        self.wanted, self.cancellation = wanted, CancellationToken()
        again: dict[str, Any] = {"progress": None, "error": None, "ended_at": None, "delivery": None}
        self.change(attempt=wanted.request.attempt, status=SessionStatus.RUNNING, started_at=now, **again)

    def adopt(self, wanted: SessionStart) -> None:
        """Belong to that start from now on: its attempt, its callback and its token."""
        self.wanted = wanted
        self.change(attempt=wanted.request.attempt)

    def note(self, phase: Phase, message: str, **details: Any) -> None:
        """The ProgressCallback of its training."""
        with self._lock:
            progress = SessionProgress(phase=phase, message=message, details=details)
            self._state = self._state.model_copy(update={"progress": progress, "revision": self._state.revision + 1})

    def change(self, **values: Any) -> SessionState:
        """Set values of the state, on disk too."""
        with self._lock:
            self._state = self._state.model_copy(update={**values, "revision": self._state.revision + 1})
        self._keep_wanted()
        return self._state

    def end(self, status: SessionStatus, now: datetime, *, error: dict[str, Any] | None = None) -> None:
        """The training is over; the result of a finished one waits."""
        delivery = None
        if status is SessionStatus.FINISHED:
            delivery = Delivery.PENDING if self.wanted.callback_url else Delivery.KEPT
        self.change(status=status, ended_at=now, error=error, delivery=delivery)

    def _keep_wanted(self) -> None:
        """The token goes into a file of its own, which only this user reads."""
        token = self.wanted.callback_token
        document = {
            "wanted": self.wanted.model_dump(mode="json", exclude={"callback_token"}),
            "state": self._state.model_dump(mode="json"),
        }
        with storage_failures("keep the session", self.folder):
            if token is not None:
                replace_file(self.folder / _TOKEN, token.get_secret_value().encode("ascii"), private=True)
            replace_file(self.folder / _RECORD, json.dumps(document).encode())
