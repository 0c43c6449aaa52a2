"""The one tree of errors: each has a stable code, an HTTP status and a sentence that says what to do.

Whatever a user can cause is raised as a `KtrdrError`; everything else is a bug and keeps its stack trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class KtrdrError(Exception):
    """An expected failure. `str(error)` is the sentence a user reads."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def details(self) -> dict[str, Any]:
        """What a program reads: the code, the sentence, and nothing that only a person needs."""
        return {"code": self.code, "message": str(self)}


class InvalidRequest(KtrdrError):
    """The request asks for something that cannot be: the sentence says what would be right."""

    code = "invalid_request"
    status = 422


class InvalidName(InvalidRequest):
    """A name that would become a path holds characters that a name may not have."""

    code = "invalid_name"


class InvalidSettings(KtrdrError):
    """A setting cannot be read; nothing was started."""

    code = "invalid_settings"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a strategy file: where it stands, what was found and what would be right."""

    path: str
    line: int | None
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path or 'the file'}: {self.found}; {self.expected}"


class InvalidStrategy(InvalidRequest):
    """A strategy file with mistakes, all of them listed."""

    code = "invalid_strategy"

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source} has {count} mistake{'s' if count > 1 else ''}:\n{lines}")

    def details(self) -> dict[str, Any]:
        problems = [problem.__dict__ for problem in self.problems]
        return {**super().details(), "source": self.source, "problems": problems}


class NotFound(KtrdrError):
    """Something named does not exist; the sentence names what does."""

    code = "not_found"
    status = 404


class StrategyNotFound(NotFound):
    """No strategy of that name."""

    code = "strategy_not_found"


class DataNotFound(NotFound):
    """No bars for that symbol and timeframe in that range."""

    code = "data_not_found"


class ModelNotFound(NotFound):
    """No model of that name."""

    code = "model_not_found"


class OperationNotFound(NotFound):
    """No operation with that id."""

    code = "operation_not_found"


class Conflict(KtrdrError):
    """The state of things does not allow it now."""

    code = "conflict"
    status = 409


class DataChanged(Conflict):
    """A checkpoint was made with other bars or another strategy: to go on from it would mix the two."""

    code = "data_changed"


class DataRefused(KtrdrError):
    """Bars that cannot be read, or that would train a dishonest model."""

    code = "data_refused"
    status = 422


class NotEnoughData(DataRefused):
    """Too few bars, rows or classes to train or to judge by."""

    code = "not_enough_data"


class StorageFailed(KtrdrError):
    """The disk is full, read-only or not ours; nothing was half-written."""

    code = "storage_failed"
    status = 507


class ModelCorrupt(KtrdrError):
    """A stored model whose bytes are not those that were saved."""

    code = "model_corrupt"


class ModeUnavailable(KtrdrError):
    """The execution mode asked for is not there and may not be replaced."""

    code = "mode_unavailable"
    status = 409


class NotPlaced(KtrdrError):
    """The host that was chosen does not take the training now: its slots are full, or nobody is there."""

    code = "not_placed"
    status = 503


class SessionNotFound(NotFound):
    """The host knows no session of that id."""

    code = "session_not_found"


class TransferCorrupt(InvalidRequest):
    """What arrived is not what was sent: sent again it may be right."""

    code = "transfer_corrupt"


class WrongModel(InvalidRequest):
    """What arrived is whole, but no model of the strategy that was to be trained: sent again it stays wrong."""

    code = "wrong_model"


class TrainingFailed(KtrdrError):
    """Training ran and produced no usable model (a loss that is not a number, for one)."""

    code = "training_failed"


class ProcessDied(TrainingFailed):
    """The process that trained has ended before the training did."""

    code = "process_died"


class TrainingCancelled(KtrdrError):
    """The cancel that was asked for has happened."""

    code = "cancelled"
    status = 409


class InternalError(KtrdrError):
    """A mistake of ours on the other side: its log has the stack trace."""

    code = "internal_error"


class Unauthorized(KtrdrError):
    """No API key, or none that is valid."""

    code = "unauthorized"
    status = 401


class Forbidden(KtrdrError):
    """The API key does not allow this, or the request comes from a page that may not send it."""

    code = "forbidden"
    status = 403


class TooLarge(KtrdrError):
    """The request carries more than is taken."""

    code = "too_large"
    status = 413


class Unavailable(KtrdrError):
    """The service cannot be reached, or takes nothing more now; later it may."""

    code = "unavailable"
    status = 503


def restore(details: Mapping[str, Any]) -> KtrdrError:
    """The error that `details()` told, at the other end of a pipe or a wire; a KtrdrError where its code is unknown."""
    kind = next((kind for kind in _kinds(KtrdrError) if kind.code == details.get("code")), KtrdrError)
    if kind is InvalidStrategy:
        problems = [Problem(**problem) for problem in details.get("problems") or ()]
        return InvalidStrategy(details.get("source") or "strategy", problems)
    return kind(str(details.get("message", "")))


def _kinds(root: type[KtrdrError]) -> Iterator[type[KtrdrError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
