"""A training on another machine, over real sockets: its result comes home once and whole, by whatever way."""

import asyncio

import pytest
from tests.execution.runners.host_parts import host_in, result_of, trained
from tests.host_service.parts import Notes, until

from ktrdr.contracts.hosts import Delivery, SessionStart, SessionStatus
from ktrdr.errors import (
    Conflict,
    InternalError,
    StorageFailed,
    TransferCorrupt,
    WrongModel,
)
from ktrdr.execution.transfer.sending import STATE, read_payload

S = SessionStatus


async def test_a_result_is_fetched_where_none_can_be_called_back(host, backend_of):
    """The progress of every phase that was seen, the result, and the log come home; the host need not keep it."""
    backend = backend_of(host)
    logs = host.root.parent / "logs"
    logs.mkdir()
    (logs / "op_1.jsonl").write_text('{"event": "training on"}\n')
    result = await backend.run()
    assert (result.model_path, result.resource_usage) == ("stored", {"mode": "host"})
    assert backend.book.accepted == [("op_1", {})]
    assert backend.told[-1][0] == "result_aggregation"
    assert host.sessions.session("op_1").state.delivery is Delivery.DELIVERED
    assert backend.logs["op_1"] == [{"event": "training on"}]
    assert backend.directory.sent == 1


async def test_what_the_host_is_told(slow_host, slow, backend_of):
    """Where results and bars are, with a token of this operation; and nothing of it without an address."""
    backend = backend_of(slow_host, public_url="http://127.0.0.1:8000")
    run = await trained(backend, slow)
    wanted: SessionStart = slow_host.sessions.session("op_1").wanted
    assert wanted.callback_url == "http://127.0.0.1:8000/api/v1/trainings/results"
    assert wanted.bars_url == "http://127.0.0.1:8000/api/v1/data"
    assert wanted.callback_token.get_secret_value() == backend.book.sessions["op_1"]
    assert wanted.callback_token.get_secret_value().startswith("ktrdr-callback.op_1.")
    slow.hold.set()
    await run


async def test_a_large_result_comes_as_files(host, backend_of, large):
    """The very bytes of the host's disk, and nothing is left of them where they were fetched to."""
    backend = backend_of(host)
    await backend.run()
    ((_, files),) = backend.book.accepted
    assert files["model_state_dict"] == (host.root / "op_1" / STATE).read_bytes()
    assert len(files) == 2
    assert not list(backend.scratch.glob("*"))


@pytest.mark.parametrize("there", [b"", b"first", b"whole"])
async def test_a_file_is_fetched_from_where_it_was_cut(host, backend_of, links, tmp_path, there):
    """What is there already is not sent again."""
    await backend_of(host).run()
    content = (host.root / "op_1" / STATE).read_bytes()
    target, have = tmp_path / "file", {b"": 0, b"first": 20, b"whole": len(content)}[there]
    target.write_bytes(content[:have])
    await links.download(host.entry, "op_1", STATE, target, len(content))
    assert target.read_bytes() == content
    target.write_bytes(b"x" * 20)  # the rest is asked for, not the whole
    await links.download(host.entry, "op_1", STATE, target, len(content))
    assert target.read_bytes() == b"x" * 20 + content[20:]


async def test_what_was_fetched_corrupt_is_fetched_anew(host, backend_of, large):
    """From its beginning; three times, and then that is the end of it."""
    await backend_of(host).run()
    file, payload = host.root / "op_1" / STATE, read_payload(host.root / "op_1", "op_1")
    again = backend_of(host)
    (again.scratch / "op_1").mkdir(parents=True)
    (again.scratch / "op_1" / f"{payload.model_state_dict.sha256}.gz").write_bytes(b"x" * 20)
    await again.run()
    assert again.book.accepted[0][1]["model_state_dict"] == file.read_bytes()

    third = backend_of(host)
    third.book.refuse = [TransferCorrupt("no")] * 3
    with pytest.raises(TransferCorrupt):
        await third.run()
    assert third.book.arrival.closed
    assert not list(third.scratch.glob("*"))


@pytest.mark.parametrize("damage", ["documents", "half a file", "no file"])
async def test_a_result_that_its_host_has_lost_is_not_asked_for_for_ever(host, backend_of, large, damage):
    """It is told as what it is, after three times, and each of them counts."""
    await backend_of(host).run()
    document, file = host.root / "op_1" / "artifact.json", host.root / "op_1" / STATE
    match damage:
        case "documents":
            document.write_bytes(document.read_bytes()[:-20])
        case "half a file":
            file.write_bytes(file.read_bytes()[:30])
        case "no file":
            file.unlink()
    backend = backend_of(host)
    async with asyncio.timeout(20):
        with pytest.raises((StorageFailed, TransferCorrupt)):
            await backend.run()
    assert backend.book.accepted == []
    assert not list(backend.scratch.glob("*"))


async def test_a_result_that_cannot_be_fetched_is_told_of(host, backend_of, monkeypatch):
    """Something is between that answers for the host; the training is not lost, and whoever watches it knows."""
    backend = backend_of(host)
    real = backend.links.result

    async def refused(*_):
        raise InternalError("the host h1 answered 500 and not as a KTRDR host does")

    monkeypatch.setattr(backend.links, "result", refused)
    run = backend.run()
    await until(lambda: backend.told and backend.told[-1][2].get("unreachable"))
    assert "has finished; its result cannot be fetched for" in backend.told[-1][1]
    assert "answered 500" in backend.told[-1][2]["why"]
    monkeypatch.setattr(backend.links, "result", real)
    assert (await asyncio.wait_for(run, 5)).model_path == "stored"
    assert set(backend.book.missed) == {"fetch unavailable"}


async def test_a_disk_that_is_full_here_is_said(host, backend_of, large, monkeypatch):
    """In one sentence; the result stays with its host."""
    backend = backend_of(host)
    backend.scratch.write_text("in the way")
    with pytest.raises(StorageFailed, match="cannot fetch a result"):
        await backend.run()
    assert backend.book.missed == ["fetch storage_failed"] * 3
    assert host.sessions.session("op_1").state.delivery is Delivery.KEPT


@pytest.mark.parametrize("error", [WrongModel("no"), Conflict("ended")])
async def test_what_is_refused_for_good_ends_the_training(host, backend_of, error):
    backend = backend_of(host)
    backend.book.refuse = [error]
    with pytest.raises(type(error)):
        await backend.run()
    assert backend.book.arrival.closed


async def test_a_result_that_was_called_back_is_not_fetched(tmp_path, slow, backend_of):
    """Whoever waits hears of it at once."""
    courier = Notes()
    courier.hold = asyncio.Event()
    async with host_in(tmp_path / "sessions", executor=slow, courier=courier) as host:
        backend = backend_of(host, public_url="http://127.0.0.1:8000")
        run = await trained(backend, slow)
        slow.hold.set()
        await until(lambda: courier.brought)
        backend.book.arrival.result = result_of(read_payload(host.root / "op_1", "op_1"))
        backend.book.arrival.news.set()
        assert (await run).model_path == "stored"
        assert backend.book.accepted == []
        courier.hold.set()


@pytest.mark.parametrize("announced", [True, False])
async def test_a_callback_that_does_not_come_is_not_waited_for_for_ever(tmp_path, slow, backend_of, announced):
    """An announced result is fetched at once, one that is on its way for long too."""
    courier = Notes()
    courier.hold = asyncio.Event()
    async with host_in(tmp_path / "sessions", executor=slow, courier=courier) as host:
        backend = backend_of(host, public_url="http://127.0.0.1:8000")
        run = await trained(backend, slow)
        slow.hold.set()
        await until(lambda: courier.brought)
        if announced:
            backend.book.arrival.announced = True
            backend.book.arrival.news.set()
        await asyncio.wait_for(run, 5)
        assert len(backend.book.accepted) == 1
        courier.hold.set()
