"""Where results arrive: one model of each, however often and however concurrently it comes, and only where wanted."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from ktrdr.contracts.hosts import PackedFile, ResultPayload, callback_token, operation_of
from ktrdr.contracts.operations import OperationStatus as S
from ktrdr.contracts.training import CancellationToken
from ktrdr.errors import Conflict, OperationNotFound, StorageFailed, TransferCorrupt, Unauthorized, WrongModel
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.orchestration.result_desk import ResultDesk

FILE = PackedFile(sha256="0" * 64, size=100, compressed_size=50)
KEYS = ("training_metrics", "test_metrics", "feature_importance", "config", "per_symbol_metrics", "model_info")
PAYLOAD = ResultPayload(
    session_id="op",
    model_state_dict=FILE,
    model_state_dict_b64="",
    context=FILE,
    context_b64="",
    feature_names=[],
    **{name: {} for name in (*KEYS, "data_summary", "resource_usage", "provenance")},
)
LARGE = PAYLOAD.model_copy(update={"model_state_dict_b64": None, "context_b64": None})


class Receiver:
    """Stores nothing, and remembers what it was handed; what it stored is found again by the desk."""

    def __init__(self, saved):
        self.saved, self.received, self.error = saved, [], None
        self.go = threading.Event()
        self.go.set()

    def receive(self, request, payload, fetched=None):
        self.received.append((request.operation_id, request.attempt, fetched))
        self.go.wait(5)
        if self.error is not None:
            raise self.error
        result = FakeExecutor().execute(request, lambda *_, **__: None, lambda: False)
        self.saved.results[request.operation_id] = result
        return result


@pytest.fixture
def desk(store, fakes):
    """The desk, its receiver, and what it told of each attempt."""
    told, receiver = [], Receiver(fakes.saved)
    made = ResultDesk(store, fakes.saved, receiver, on_transfer=lambda *said: told.append(said[:2]))
    return SimpleNamespace(desk=made, receiver=receiver, told=told)


@pytest.fixture
def running(operations, request_for):
    """An operation that runs on a host."""

    async def make(name="op"):
        request = request_for(name, execution_mode="host", host="h1")
        await operations.create(request, "host", "asked for", host="h1")
        await operations.start(name, 1, CancellationToken())

    return make


async def test_a_token_is_its_operations_and_no_others(desk, running, store):
    """It is known by its digest, from the moment that the session is opened until another one takes its place."""
    await running()
    first, second = callback_token("op"), callback_token("op")
    assert operation_of(first) == "op"
    assert first != second
    with pytest.raises(Unauthorized):
        await desk.desk.check(first)
    assert await desk.desk.opened("op", 1, first) is False
    assert await desk.desk.check(first) == "op"
    assert first not in str(await store.callback_of("op"))
    assert await desk.desk.opened("op", 1, second) is True
    assert await desk.desk.check(second) == "op"
    for wrong in (
        first,
        second[:-1],
        second + "x",
        callback_token("other"),
        "ktrdr-callback.op.",
        "ktrdr_key",
        "",
        None,
    ):
        with pytest.raises(Unauthorized):
            await desk.desk.check(wrong)
    await desk.desk.closed("op", 1)
    with pytest.raises(Unauthorized):
        await desk.desk.check(second)
    assert await desk.desk.opened("op", 1, first) is False


async def test_an_attempt_that_is_over_opens_nothing(desk, running, operations):
    await running()
    await operations.fail("op", 1, {"code": "x", "message": "x"})
    with pytest.raises(Conflict, match="attempt 1"):
        await desk.desk.opened("op", 1, callback_token("op"))


async def test_a_delivery_is_heard_of(desk, running):
    """By whoever waits for it, with the path of its model as the answer."""
    await running()
    with desk.desk.expect("op") as arrival:
        assert await desk.desk.deliver("op", PAYLOAD) == "demo/FAKE_1h_v1"
        assert arrival.news.is_set()
        assert arrival.result.model_path == "demo/FAKE_1h_v1"
        assert (await arrival.close()) is arrival.result
    assert desk.receiver.received == [("op", 1, None)]
    assert desk.told == [("callback", "accepted")]


async def test_twenty_at_once_are_one(desk, running, tmp_path):
    """By either way, and also when nobody waits: one is received, all get the same answer."""
    await running()
    desk.receiver.go.clear()
    deliveries = [asyncio.create_task(desk.desk.deliver("op", PAYLOAD)) for _ in range(10)]
    fetches = [asyncio.create_task(desk.desk.accept("op", LARGE, {"context": tmp_path})) for _ in range(10)]
    await asyncio.sleep(0.05)
    desk.receiver.go.set()
    assert set(await asyncio.gather(*deliveries)) == {"demo/FAKE_1h_v1"}
    assert {result.model_path for result in await asyncio.gather(*fetches)} == {"demo/FAKE_1h_v1"}
    assert len(desk.receiver.received) == 1
    assert sorted(became for _, became in desk.told) == ["accepted"] + ["repeated"] * 19


async def test_a_repeat_after_the_end_gets_the_same_answer(desk, running, operations, fakes):
    """From the operation; or from the storage, where a server was killed between the model and saying so."""
    await running()
    token = callback_token("op")
    await desk.desk.opened("op", 1, token)
    assert await desk.desk.check(token, going_on=True) == "op"
    await desk.desk.deliver("op", PAYLOAD)
    await operations.complete("op", 1, fakes.saved.results["op"])
    assert await desk.desk.check(token) == "op"
    with pytest.raises(Unauthorized, match="has ended"):
        await desk.desk.check(token, going_on=True)
    fakes.saved.results.clear()
    assert await desk.desk.deliver("op", PAYLOAD) == "demo/FAKE_1h_v1"
    assert await desk.desk.deliver("op", LARGE) == "demo/FAKE_1h_v1"
    await running("op_2")
    of_another = PAYLOAD.model_copy(update={"session_id": "op_2"})
    fakes.saved.results["op_2"] = FakeExecutor().execute(
        (await operations.get("op_2")).request, lambda *_, **__: None, lambda: False
    )
    assert await desk.desk.deliver("op_2", of_another) == "demo/FAKE_1h_v1"
    assert len(desk.receiver.received) == 1
    assert [became for _, became in desk.told] == ["accepted", *["repeated"] * 3]


async def test_a_large_result_is_announced(desk, running):
    """Nothing is received yet; whoever waits is told to fetch it."""
    await running()
    with desk.desk.expect("op") as arrival:
        assert await desk.desk.deliver("op", LARGE) is None
        assert (arrival.announced, arrival.result, arrival.news.is_set()) == (True, None, True)
    assert await desk.desk.deliver("op", LARGE) is None  # nobody waits: the next one who follows it fetches it
    assert desk.receiver.received == []
    assert desk.told == [("callback", "announced")] * 2


async def test_the_result_of_another_operation_is_refused(desk, running):
    """Its token is not this one's."""
    await running()
    await running("op_2")
    with pytest.raises(Unauthorized, match="another operation's"):
        await desk.desk.deliver("op_2", PAYLOAD)
    assert desk.receiver.received == []
    assert desk.told == [("callback", "unauthorized")]


@pytest.mark.parametrize("error", [TransferCorrupt("again"), WrongModel("never"), StorageFailed("full")])
async def test_what_cannot_be_received_changes_nothing(desk, running, error):
    """The next one may be right."""
    await running()
    desk.receiver.error = error
    with desk.desk.expect("op") as arrival:
        with pytest.raises(type(error)):
            await desk.desk.deliver("op", PAYLOAD)
        assert arrival.result is None
        assert not arrival.news.is_set()
        desk.receiver.error = None
        assert await desk.desk.deliver("op", PAYLOAD) == "demo/FAKE_1h_v1"
    assert desk.told == [("callback", error.code), ("callback", "accepted")]


@pytest.mark.parametrize("payload", [PAYLOAD, LARGE])
async def test_what_is_wanted_no_more_is_refused(desk, running, operations, payload):
    """After a cancel, once it was asked for or the host was given up; and for what never was."""
    await running()
    with desk.desk.expect("op") as arrival:
        assert await arrival.close() is None
        with pytest.raises(Conflict, match="wanted no more"):
            await desk.desk.deliver("op", payload)
    with pytest.raises(Conflict):  # and it stays so when nobody waits any more
        await desk.desk.deliver("op", payload)
    await running("op_2")
    of_another = payload.model_copy(update={"session_id": "op_2"})
    await operations.request_cancel("op_2")
    assert (await operations.get("op_2")).status is S.CANCELLING
    with pytest.raises(Conflict):
        await desk.desk.deliver("op_2", of_another)
    await operations.cancelled("op_2", 1)
    with pytest.raises(Conflict):
        await desk.desk.deliver("op_2", of_another)
    with pytest.raises(OperationNotFound):
        await desk.desk.deliver("op_9", payload.model_copy(update={"session_id": "op_9"}))
    assert desk.receiver.received == []
    assert {became for _, became in desk.told} == {"conflict", "operation_not_found"}


async def test_who_closes_waits_for_what_is_just_arriving(desk, running):
    """A result and a cancel at once: whichever was first, both sides see the same."""
    await running()
    desk.receiver.go.clear()
    with desk.desk.expect("op") as arrival:
        delivery = asyncio.create_task(desk.desk.deliver("op", PAYLOAD))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(arrival.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        desk.receiver.go.set()
        assert (await closing).model_path == await delivery


async def test_what_did_not_come_whole_counts(desk):
    desk.desk.failed("fetch", TransferCorrupt("cut"))
    assert desk.told == [("fetch", "transfer_corrupt")]
