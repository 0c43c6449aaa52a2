"""Host services: which there are and how they do, and what a backend and a host say to each other."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Protocol, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from ktrdr.contracts.addresses import origin_of
from ktrdr.contracts.training import Phase, TrainingRequest, TrainingResult
from ktrdr.contracts.values import Value
from ktrdr.errors import InvalidRequest, KtrdrError

LARGEST_INLINE = 16 * 1024 * 1024
"""Bytes of packed files that go into the JSON of a result; what is larger is fetched."""
CALLBACK_PREFIX = "ktrdr-callback."


class HostEntry(Value):
    """A host service as the registry has it. `url` is its origin: scheme, name and port, nothing more.

    `price_per_hour` is in the user's own currency; None: nobody counts.
    """

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    url: str = Field(max_length=300)
    price_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @field_validator("url")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        return origin_of(url)


def host_entry(name: str, url: str, price_per_hour: float | None = None) -> HostEntry:
    """An entry of what a user wrote. Raises InvalidRequest."""
    try:
        return HostEntry(name=name, url=url, price_per_hour=price_per_hour)
    except ValidationError as error:
        rows = [f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}" for row in error.errors()]
        raise InvalidRequest(f"that is no host: {'; '.join(rows)}") from None


class Device(Value):
    """A piece of hardware that trains. Memory in bytes, where it is known."""

    type: str
    name: str
    memory_bytes: int | None = None


class HostHealth(Value):
    """What a host says of itself. `slots` trainings run at a time, `free_slots` of them are free."""

    version: str
    uptime_seconds: float
    devices: list[Device]
    slots: int
    free_slots: int
    memory_bytes: int | None = None

    @property
    def has_gpu(self) -> bool:
        return any(device.type != "cpu" for device in self.devices)


class HostReport(Value):
    """How a host was found at its last check: its health, or why there is none. `latency_seconds` is the answer's."""

    host: HostEntry
    origin: str = "registered"
    checked_at: datetime
    latency_seconds: float
    health: HostHealth | None = None
    error: str | None = None


class SessionStatus(StrEnum):
    """The life of a session: running, (stopping,) then one of the ends; `interrupted` when its host died meanwhile."""

    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def active(self) -> bool:
        return self in (SessionStatus.RUNNING, SessionStatus.STOPPING)


class Delivery(StrEnum):
    """Where the result of a finished session is: on its way, with the backend, refused by it, or kept to be fetched."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    KEPT = "kept"


class SeriesNeeded(Value):
    """Bars that a training reads: the whole stored series, named by the digest of its columns and by what is known
    of it beside them."""

    symbol: str = Field(min_length=1, max_length=100)
    timeframe: str = Field(min_length=1, max_length=20)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    calendar: str = Field(min_length=1, max_length=60)
    jumps_accepted: bool = False
    lag: str | None = Field(default=None, max_length=60)


class SessionStart(Value):
    """Asks a host for a training. The same `session_id` again is the same session, never a second one.

    The session's id is the operation's. `callback_url` is where the result goes, with `callback_token` as its bearer;
    without it the result waits to be fetched. `bars_url` is the backend's, for bars that the host lacks. `resume`
    False forgets the checkpoint of an earlier attempt.
    """

    session_id: str = Field(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")
    request: TrainingRequest
    series: list[SeriesNeeded] = Field(max_length=10_000)
    callback_url: str | None = Field(default=None, max_length=500)
    bars_url: str | None = Field(default=None, max_length=500)
    callback_token: SecretStr | None = None
    resume: bool = True

    @model_validator(mode="after")
    def _of_one_operation(self) -> Self:
        if self.session_id != self.request.operation_id:
            raise InvalidRequest("a session has the id of its operation")
        if (self.callback_url or self.bars_url) and self.callback_token is None:
            raise InvalidRequest("a callback_url and a bars_url want their callback_token")
        return self


class SessionProgress(Value):
    """The latest news of a session's training."""

    phase: Phase
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class SessionState(Value):
    """A session as its host tells it. `revision` grows with every change."""

    session_id: str
    attempt: int
    status: SessionStatus
    delivery: Delivery | None = None
    revision: int = 0
    progress: SessionProgress | None = None
    error: dict[str, Any] | None = None
    started_at: datetime
    ended_at: datetime | None = None


class PackedFile(Value):
    """A file of a result: the sha256 and size of its bytes, and its size once compressed."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    compressed_size: int = Field(ge=0)


class ResultPayload(Value):
    """A finished training on the wire. `model_state_dict_b64` and `context_b64` are gzip, then base64; both None when
    they are too large for JSON: then the backend fetches the files from the host."""

    session_id: str
    compression: str = "gzip"
    model_state_dict: PackedFile
    model_state_dict_b64: str | None = None
    context: PackedFile
    context_b64: str | None = None
    training_metrics: dict[str, Any]
    test_metrics: dict[str, Any]
    feature_names: list[str]
    feature_importance: dict[str, Any]
    config: dict[str, Any]
    per_symbol_metrics: dict[str, Any]
    model_info: dict[str, Any]
    data_summary: dict[str, Any]
    resource_usage: dict[str, Any]
    provenance: dict[str, Any]


class HostDirectory(Protocol):
    """The host services that there are."""

    async def reports(self, *, fresh: bool = False) -> list[HostReport]:
        """Every host with its health, at most a few seconds old or `fresh`; one that does not answer costs no longer
        than the timeout of a check."""

    async def entry(self, name: str) -> HostEntry:
        """Raises NotFound."""

    def taken(self, name: str) -> None:
        """A training was just sent there: what is known of its free slots is one too many."""


class Arrival(Protocol):
    """What becomes of a session's result while somebody waits for it."""

    result: TrainingResult | None
    """The result, once it was accepted."""
    announced: bool
    """Whether the host has said that its result waits to be fetched."""
    news: asyncio.Event
    """Set when one of the two has changed."""

    async def close(self) -> TrainingResult | None:
        """Accept nothing from now on; the result if one has been accepted before."""


class SessionBook(Protocol):
    """Remembers which operation has a session on which host, across restarts of the backend, and takes results in."""

    async def opened(self, operation_id: str, attempt: int, token: str) -> bool:
        """Committed on return: from now on a callback with that token is this operation's. Whether it had a session
        before. Raises Conflict when that attempt is over."""

    async def closed(self, operation_id: str, attempt: int) -> None:
        """There is no session: its host did not take it."""

    def expect(self, operation_id: str) -> AbstractContextManager[Arrival]:
        """Hear of that operation's result, inside."""

    async def accept(
        self, operation_id: str, payload: ResultPayload, fetched: Mapping[str, Path] | None = None
    ) -> TrainingResult:
        """Take in a result that was fetched from its host; however often and from wherever it comes, there is one
        model. Raises TransferCorrupt, WrongModel, StorageFailed, and Conflict when nobody wants it any more."""

    def failed(self, way: str, error: KtrdrError) -> None:
        """A result that was fetched did not come whole: the attempt counts."""


class Receiver(Protocol):
    """Makes a stored model of a result. Blocks; may be called from any thread."""

    def receive(
        self, request: TrainingRequest, payload: ResultPayload, fetched: Mapping[str, Path] | None = None
    ) -> TrainingResult:
        """Check it and store its model; `fetched` has the packed files that the payload has not. Storing it again
        changes nothing. Raises TransferCorrupt, WrongModel and StorageFailed; then nothing was stored."""


class ResultDesk(Protocol):
    """Where hosts deliver their results."""

    async def check(self, token: str | None, *, going_on: bool = False) -> str:
        """The operation whose callback token this is; with `going_on` only until that has ended. Raises
        Unauthorized."""

    async def deliver(self, operation_id: str, payload: ResultPayload) -> str | None:
        """The path of the model that was stored; None when its files have to be fetched first. A repeat gets the same
        answer. Raises as `SessionBook.accept` does."""

    def failed(self, way: str, error: KtrdrError) -> None:
        """A result that was to be delivered could not be read: the attempt counts."""


def callback_token(operation_id: str) -> str:
    """A new secret for one operation, which it names."""
    return f"{CALLBACK_PREFIX}{operation_id}.{token_urlsafe(32)}"


def operation_of(token: str) -> str | None:
    """The operation that a callback token names; None for what is no such token."""
    name, _, secret = token.removeprefix(CALLBACK_PREFIX).rpartition(".")
    return name if token.startswith(CALLBACK_PREFIX) and secret else None
