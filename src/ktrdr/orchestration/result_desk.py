"""Where results of hosts arrive, by callback or fetched: each becomes one model, however often it comes."""

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ktrdr.contracts.hosts import Receiver, ResultPayload, operation_of
from ktrdr.contracts.models import SavedResults
from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.errors import Conflict, KtrdrError, OperationNotFound, Unauthorized
from ktrdr.logs import get_logger, operation_context
from ktrdr.orchestration.live_run import STARTED
from ktrdr.orchestration.operation_store import OperationStore

_WANTED = (OperationStatus.QUEUED, OperationStatus.RUNNING)
_log = get_logger("results")

OnTransfer = Callable[[str, str, ResultPayload | None], object]
"""Hears of every attempt to bring a result: the way (callback, fetch), what became of it (accepted, repeated,
announced, or the code of the error), and the result, if it came whole."""


class ExpectedResult:
    """The Arrival of one operation."""

    def __init__(self, desk: "ResultDesk", operation_id: str) -> None:
        self.result: TrainingResult | None = None
        self.announced = False
        self.news = asyncio.Event()
        self.closed = False
        self._desk = desk
        self._operation_id = operation_id

    async def close(self) -> TrainingResult | None:
        """Accept nothing from now on; the result if one has been accepted before, or is just being."""
        async with self._desk.one_at_a_time(self._operation_id):
            self.closed = self.result is None
            return self.result


class ResultDesk:
    """The SessionBook of a backend, and the desk that its API hands results to. Bound to one event loop."""

    def __init__(
        self,
        store: OperationStore,
        saved: SavedResults,
        receiver: Receiver,
        *,
        on_transfer: OnTransfer = lambda *_: None,
    ) -> None:
        self._store = store
        self._saved = saved
        self._receiver = receiver
        self._on_transfer = on_transfer
        self._expected: dict[str, ExpectedResult] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def opened(self, operation_id: str, attempt: int, token: str) -> bool:
        """Committed on return: from now on a callback with that token is this operation's. Whether it had a session
        before. Raises Conflict when that attempt is over."""
        before = await self._store.callback_of(operation_id)
        sha256 = hashlib.sha256(token.encode()).hexdigest()
        if await self._store.change(operation_id, allowed=STARTED, attempt=attempt, callback_sha256=sha256) is None:
            raise Conflict(f"attempt {attempt} of operation {operation_id} is over")
        return before is not None

    async def closed(self, operation_id: str, attempt: int) -> None:
        """There is no session: its host did not take it."""
        await self._store.change(operation_id, allowed=STARTED, attempt=attempt, callback_sha256=None)

    @contextmanager
    def expect(self, operation_id: str) -> Iterator[ExpectedResult]:
        """Hear of that operation's result, inside."""
        expected = self._expected[operation_id] = ExpectedResult(self, operation_id)
        try:
            yield expected
        finally:
            if not expected.closed:
                self._expected.pop(operation_id, None)

    def one_at_a_time(self, operation_id: str) -> asyncio.Lock:
        """Held while a result of that operation is looked at."""
        return self._locks[operation_id]

    async def check(self, token: str | None, *, going_on: bool = False) -> str:
        """The operation whose callback token this is; with `going_on` only until that has ended. Raises
        Unauthorized."""
        operation_id = operation_of(token or "")
        known = None if operation_id is None else await self._store.callback_of(operation_id)
        shown = hashlib.sha256((token or "").encode()).hexdigest()
        if operation_id is None or known is None or not hmac.compare_digest(known, shown):
            raise Unauthorized("this is no callback token of a training that waits for its result")
        if going_on and (await self._operation(operation_id)).status.ended:
            raise Unauthorized("the training of this callback token has ended")
        return operation_id

    async def deliver(self, operation_id: str, payload: ResultPayload) -> str | None:
        """Take in a result from its host; the path of the model. None when its files have to be fetched first."""
        if payload.session_id != operation_id:
            refusal = Unauthorized("the callback token is another operation's")
            self.failed("callback", refusal)
            raise refusal
        if payload.model_state_dict_b64 is None or payload.context_b64 is None:
            return await self._announce(operation_id, payload)
        return (await self._take("callback", operation_id, payload)).model_path

    async def accept(
        self, operation_id: str, payload: ResultPayload, fetched: Mapping[str, Path] | None = None
    ) -> TrainingResult:
        """Take in a result that was fetched from its host. Raises TransferCorrupt, WrongModel, StorageFailed, and
        Conflict when nobody wants it any more."""
        return await self._take("fetch", operation_id, payload, fetched)

    def failed(self, way: str, error: KtrdrError) -> None:
        """A result did not come whole, by callback or when it was fetched: count the attempt."""
        self._on_transfer(way, error.code, None)

    async def _announce(self, operation_id: str, payload: ResultPayload) -> str | None:
        try:
            async with self._locks[operation_id]:
                operation = await self._operation(operation_id)
                known = await self._known(operation)
                if known is not None:
                    self._on_transfer("callback", "repeated", payload)
                    return known.model_path
                self._require_wanted(operation)
        except KtrdrError as error:
            self.failed("callback", error)
            raise
        self._on_transfer("callback", "announced", payload)
        if expected := self._expected.get(operation_id):
            expected.announced = True
            expected.news.set()
        return None

    async def _take(
        self, way: str, operation_id: str, payload: ResultPayload, fetched: Mapping[str, Path] | None = None
    ) -> TrainingResult:
        with operation_context(operation_id):
            try:
                async with self._locks[operation_id]:
                    result, became = await self._accept(operation_id, payload, fetched)
            except KtrdrError as error:
                _log.warning("a result is refused", way=way, code=error.code, error=str(error))
                self._on_transfer(way, error.code, payload)
                raise
            _log.info("a result is here", way=way, became=became, model_path=result.model_path)
        self._on_transfer(way, became, payload)
        return result

    async def _accept(
        self, operation_id: str, payload: ResultPayload, fetched: Mapping[str, Path] | None
    ) -> tuple[TrainingResult, str]:
        operation = await self._operation(operation_id)
        known = await self._known(operation)
        if known is not None:
            return known, "repeated"
        self._require_wanted(operation)
        result = await asyncio.to_thread(self._receiver.receive, _request(operation), payload, fetched)
        if expected := self._expected.get(operation_id):
            expected.result = result
            expected.news.set()
        return result, "accepted"

    async def _operation(self, operation_id: str) -> Operation:
        operation = await self._store.get(operation_id)
        if operation is None:
            raise OperationNotFound(f"there is no operation {operation_id}")
        return operation

    async def _known(self, operation: Operation) -> TrainingResult | None:
        """The result that was accepted before, also by a process that did not live to say so."""
        if operation.result is not None:
            return operation.result
        return await asyncio.to_thread(self._saved.result_of, _request(operation))

    def _require_wanted(self, operation: Operation) -> None:
        expected = self._expected.get(operation.operation_id)
        if operation.status not in _WANTED or (expected is not None and expected.closed):
            raise Conflict(f"operation {operation.operation_id} has ended: its result is wanted no more")


def _request(operation: Operation) -> TrainingRequest:
    placed = {"attempt": operation.attempt, "execution_mode": operation.execution_mode, "host": operation.host}
    return operation.request.model_copy(update=placed)
