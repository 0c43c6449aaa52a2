"""A training on another machine, over real sockets: silence, restarts and cancels on the way to its end."""

import asyncio
import shutil
import threading

import pytest
from tests.execution.runners.host_parts import Backend, host_in, result_of, trained
from tests.host_service.parts import Leaves, leave, until

from ktrdr.contracts.hosts import Delivery, SessionStatus
from ktrdr.contracts.training import TrainingRequest
from ktrdr.errors import (
    NotPlaced,
    ProcessDied,
    TrainingCancelled,
    TrainingFailed,
    TransferCorrupt,
    Unauthorized,
)
from ktrdr.execution.runners import host as host_module
from ktrdr.execution.runners.host_link import HostLinks
from ktrdr.execution.transfer.sending import read_payload

S = SessionStatus


async def test_a_cancel_goes_to_the_host(slow_host, slow, backend_of):
    """It stops there, its result would be refused, and nothing is left here."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    backend.token.cancel()
    with pytest.raises(TrainingCancelled, match="was cancelled"):
        await asyncio.wait_for(run, 5)
    assert slow_host.sessions.session("op_1").state.status is S.CANCELLED
    assert backend.book.arrival.closed


async def test_a_host_that_ignores_a_cancel_is_given_up(tmp_path, backend_of):
    """After its deadline; what it brings later is refused."""
    deaf = Leaves(tmp_path / "sessions", hold=threading.Event(), deaf=True)
    async with host_in(tmp_path / "sessions", executor=deaf) as host:
        backend = backend_of(host)
        run = await trained(backend, deaf)
        backend.token.cancel()
        with pytest.raises(TrainingCancelled, match="did not stop in time: its result will be refused"):
            await asyncio.wait_for(run, 5)
        assert host.sessions.session("op_1").state.status is S.STOPPING
        assert backend.book.arrival.closed


async def test_a_host_that_has_finished_when_the_cancel_comes_keeps_nothing(host, backend_of):
    """Nobody wants its result any more."""
    backend = backend_of(host)
    backend.book.refuse = [TransferCorrupt("again")] * 2
    run = backend.run()
    await until(lambda: host.sessions._sessions and host.sessions.session("op_1").state.delivery is Delivery.KEPT)
    backend.token.cancel()
    with pytest.raises(TrainingCancelled):
        await asyncio.wait_for(run, 5)
    assert host.sessions.session("op_1").state.delivery is Delivery.DELIVERED


async def test_a_result_that_came_before_the_cancel_is_kept(slow_host, slow, backend_of):
    """Whoever wins the race decides."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    leave(slow_host.root, slow_host.sessions.session("op_1").wanted.request)
    backend.book.arrival.result = result_of(read_payload(slow_host.root / "op_1", "op_1"))
    backend.token.cancel()
    assert (await asyncio.wait_for(run, 5)).model_path == "stored"
    assert not backend.book.arrival.closed


async def test_a_cancel_ends_a_fetch(host, backend_of, large, monkeypatch):
    """A large file is not waited for, and nothing is left of it."""
    await backend_of(host).run()
    backend = backend_of(host)

    def cancelled():
        backend.token.cancel()
        return True

    monkeypatch.setattr(backend.token, "is_cancelled", cancelled)
    with pytest.raises(TrainingCancelled):
        await asyncio.wait_for(backend.run(), 5)
    assert (backend.book.accepted, backend.book.missed) == ([], [])
    assert not list(backend.scratch.glob("*"))


async def test_a_server_that_stops_leaves_the_host_training(slow_host, slow, backend_of):
    """The next one finds the session again, with a token of its own, and nothing is begun twice."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    backend.token.suspend()
    with pytest.raises(TrainingCancelled):
        await asyncio.wait_for(run, 5)
    assert slow_host.sessions.session("op_1").state.status is S.RUNNING
    again = backend_of(slow_host)
    again.book.sessions["op_1"] = "the token of before"
    run = again.run()
    await until(lambda: again.told)
    slow.hold.set()
    await asyncio.wait_for(run, 5)
    assert len(slow.runs) == 1
    assert slow_host.sessions.session("op_1").wanted.callback_token.get_secret_value() == again.book.sessions["op_1"]


async def test_a_silent_host_is_unreachable_until_it_answers(slow_host, slow, backend_of):
    """Its training goes on; told since when, and why, again at each poll, and no more once it is heard."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    await slow_host.disconnect()
    await until(lambda: backend.told[-1][2].get("unreachable"))
    phase, message, details = backend.told[-1]
    assert phase == "training"
    assert message.startswith("the host h1 is unreachable for")
    assert details["silent_seconds"] >= 0.3
    assert "does not answer" in details["why"]
    await slow_host.connect()
    await until(lambda: not backend.told[-1][2].get("unreachable"))
    slow.hold.set()
    await asyncio.wait_for(run, 5)
    assert len(slow.runs) == 1


async def test_a_host_that_was_restarted_goes_on(slow_host, slow, backend_of):
    """The session is found interrupted, and begun again as the same attempt: it has its checkpoint."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    await slow_host.stop()
    slow.began.clear()
    await slow_host.start()
    await slow.beginning()
    slow.hold.set()
    await asyncio.wait_for(run, 5)
    assert [request.attempt for request in slow.runs] == [1, 1]


async def test_a_host_that_dies_again_and_again_is_not_tried_for_ever(slow_host, slow, backend_of):
    """Five times; then the sentence says what can be done."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    for _ in range(5):
        slow.began.clear()
        await slow_host.stop()
        await slow_host.start()
        await slow.beginning()
    await slow_host.stop()
    await slow_host.start()
    with pytest.raises(ProcessDied, match="has lost this training 6 times"):
        await asyncio.wait_for(run, 5)
    assert len(slow.runs) == 6


async def test_a_host_that_has_forgotten_the_session_begins_it_anew(slow_host, slow, backend_of):
    """Its disk was lost: nothing else can be done."""
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    await slow_host.stop()
    shutil.rmtree(slow_host.root)
    slow_host.root.mkdir()
    slow.began.clear()
    await slow_host.start()
    await slow.beginning()
    slow.hold.set()
    await asyncio.wait_for(run, 5)


async def test_a_host_without_a_slot_has_no_session(slow_host, slow, backend_of, links, tmp_path):
    """The training is placed anew: the backend forgets the token, the host has begun nothing."""
    first = backend_of(slow_host)
    run = await trained(first, slow)
    second = Backend(slow_host, links, tmp_path / "incoming")
    with pytest.raises(NotPlaced, match="slots are taken"):
        await second.manager.run(request("op_2"), lambda *_, **__: None, second.token)
    assert second.book.sessions == {}
    slow.hold.set()
    await run


async def test_a_host_that_nobody_hears_has_no_session(slow_host, backend_of):
    """Where no connection comes about nothing was started."""
    await slow_host.disconnect()
    backend = backend_of(slow_host)
    with pytest.raises(NotPlaced, match="does not answer"):
        await backend.run()
    assert backend.book.sessions == {}


async def test_a_session_of_before_is_waited_for(slow_host, slow, backend_of):
    """The host may be at it: it is not given up because it cannot be reached just now."""
    run = await trained(backend_of(slow_host), slow)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await until(lambda: not slow_host.sessions.session("op_1").state.status.active)
    await slow_host.disconnect()
    backend = backend_of(slow_host)
    backend.book.sessions["op_1"] = "of before"
    run = backend.run(attempt=2)
    await until(lambda: backend.told and backend.told[-1][2].get("unreachable"))
    await slow_host.connect()
    slow.hold.set()
    await asyncio.wait_for(run, 5)
    assert [request.attempt for request in slow.runs] == [1, 2]


async def test_a_cancel_ends_the_wait_for_a_session_of_before(slow_host, backend_of):
    """Although its host cannot be told."""
    await slow_host.disconnect()
    backend = backend_of(slow_host)
    backend.book.sessions["op_1"] = "of before"
    run = backend.run()
    await until(lambda: backend.told)
    backend.token.cancel()
    with pytest.raises(TrainingCancelled, match="did not stop in time"):
        await asyncio.wait_for(run, 5)


async def test_another_key_is_told_at_once(host, tmp_path):
    """It does not come right by itself."""
    async with HostLinks(key=None) as strangers:
        backend = Backend(host, strangers, tmp_path / "incoming")
        with pytest.raises(Unauthorized, match="KTRDR_HOST_KEY"):
            await backend.run()


async def test_what_ends_a_training_there_ends_it_here(slow_host, slow, backend_of):
    """With the same code and sentence; a stop on the host is a cancel."""
    slow.error = TrainingFailed("the loss is not a number: lower learning_rate")
    run = await trained(backend_of(slow_host), slow)
    slow.hold.set()
    with pytest.raises(TrainingFailed, match="lower learning_rate"):
        await asyncio.wait_for(run, 5)

    slow.error, slow.hold = None, threading.Event()
    slow.began.clear()
    run = backend_of(slow_host).run(attempt=2)
    await slow.beginning()
    slow_host.sessions.stop("op_1")
    with pytest.raises(TrainingCancelled, match="stopped on its host"):
        await asyncio.wait_for(run, 5)


async def test_a_run_that_is_called_off_stops_its_session(slow_host, slow, backend_of):
    run = await trained(backend_of(slow_host), slow)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert slow_host.sessions.session("op_1").state.status in (S.STOPPING, S.CANCELLED)


async def test_a_session_that_nobody_follows_is_stopped(slow_host, slow, backend_of, monkeypatch):
    """Also when its host is away for a moment; one that is not there is fine, as is a host that is not."""
    monkeypatch.setattr(host_module, "_FIRST_WAIT", 0.01)
    backend = backend_of(slow_host)
    run = await trained(backend, slow)
    backend.token.suspend()
    await asyncio.gather(run, return_exceptions=True)
    await slow_host.disconnect()
    stopping = asyncio.create_task(backend.manager.stop("h1", "op_1"))
    await asyncio.sleep(0.02)
    await slow_host.connect()
    await stopping
    await until(lambda: slow_host.sessions.session("op_1").state.status is S.CANCELLED)
    await backend.manager.stop("h1", "op_9")
    await backend.manager.stop("h9", "op_1")


async def test_what_was_fetched_for_trainings_of_long_ago_is_removed(host, backend_of):
    """What is young may still be wanted."""
    backend = backend_of(host)
    (backend.scratch / "op_0").mkdir(parents=True)
    (backend.scratch / "op_0" / "file").write_text("a")
    await backend.manager.tidy()
    assert (backend.scratch / "op_0" / "file").is_file()
    await backend.manager.tidy(older_than=-1)
    assert list(backend.scratch.iterdir()) == []


def request(operation_id):
    return TrainingRequest(
        operation_id=operation_id, strategy_name="demo", strategy={}, execution_mode="host", host="h1"
    )
