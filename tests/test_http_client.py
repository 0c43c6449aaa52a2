"""Over real connections: the calls that no command makes, WebSockets, and what a client says when nobody is there."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from ktrdr.api.app import create_app
from ktrdr.client.http import HttpClient
from ktrdr.contracts.hosts import HostEntry
from ktrdr.contracts.leaks import CheckLeaks
from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.contracts.strategies import GivenStrategy, StrategyOverrides
from ktrdr.contracts.training import StartTraining
from ktrdr.errors import Conflict, DataNotFound, InvalidName, InvalidRequest, InvalidSettings, NotFound, Unavailable
from ktrdr.web.server import Address, uvicorn_config
from tests.cli.fake_client import FakeClient


class Endless(FakeClient):
    """Has an operation of which there is no news after the first; knows when its reader has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.left = threading.Event()

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        if operation_id != "endless":
            async for state in super().watch(operation_id):
                yield state
            return
        try:
            yield await self.operation("op_0")
            await asyncio.Event().wait()
        finally:
            self.left.set()


@pytest.fixture
def fake() -> Endless:
    return Endless()


@pytest.fixture
def url(fake: Endless) -> Iterator[str]:
    """A server over a client that keeps everything in memory."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = Address(host="127.0.0.1", port=bound.getsockname()[1])
        server = uvicorn.Server(uvicorn_config(create_app(fake), address))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join()


async def test_settings_of_the_service_are_read_and_changed(url: str) -> None:
    """The default mode comes with its origin; one that does not exist is refused with the server's sentence."""
    async with HttpClient(url) as client:
        assert (await client.training_config()).default_execution_mode == "auto"
        changed = await client.set_default_mode("local")
        assert (changed.default_execution_mode, changed.previous) == ("local", "auto")
        with pytest.raises(InvalidRequest, match="no execution mode 'odd'"):
            await client.set_default_mode("odd")


async def test_files_come_in_pieces_and_only_the_bars_that_were_named(url: str) -> None:
    """Another digest is an error before the first byte, not a file with other bars."""
    async with HttpClient(url) as client:
        assert b"".join([piece async for piece in client.series_file("EURUSD", "1h", "d1")]) == b"PAR1rest"
        with pytest.raises(DataNotFound, match="other bars"):
            await anext(client.series_file("EURUSD", "1h", "d2"))
        assert (await client.strategy_schema())["title"] == "KTRDR strategy"


async def test_hosts_are_registered_through_a_server(url: str) -> None:
    """As they are where the client has the store itself."""
    entry = HostEntry(name="gpu2", url="https://gpu2:8100", price_per_hour=0.5)
    async with HttpClient(url) as client:
        assert await client.add_host(entry) == entry
        with pytest.raises(Conflict, match="there is a host gpu2 already"):
            await client.add_host(entry)
        assert [one.host.name for one in await client.hosts(fresh=True)] == ["gpu1", "gpu2"]
        assert await client.remove_host("gpu2") == entry
        with pytest.raises(NotFound, match="there is no host gpu2"):
            await client.remove_host("gpu2")


async def test_a_leak_check_is_asked_for_by_name_or_by_text(fake: FakeClient, url: str) -> None:
    """What arrives is what was wanted, and the report comes back as it was."""
    overrides = StrategyOverrides(symbols=["EURUSD"], seed=3)
    for wanted in (
        CheckLeaks(strategy_name="momentum", overrides=overrides, cuts=7),
        CheckLeaks(strategy_text="name: momentum", source="a.yaml", cuts=3),
    ):
        async with HttpClient(url) as client:
            report = await client.check_leaks(wanted)
        assert fake.asked["leaks"] == wanted.model_dump()
        assert report == await fake.check_leaks(wanted)


async def test_coverage_is_asked_for_by_name_or_by_text(fake: FakeClient, url: str) -> None:
    for given in (GivenStrategy(strategy_name="momentum"), GivenStrategy(strategy_text="name: a", source="a.yaml")):
        async with HttpClient(url) as client:
            assert await client.coverage(given) == fake.covered
        assert fake.asked["coverage"] == given.model_dump()


async def test_a_websocket_over_a_real_connection_says_every_state(url: str, fake: Endless) -> None:
    """To the end and its close; a reader that leaves in the middle keeps nobody waiting."""
    async with httpx2.AsyncClient(base_url=url) as http:
        await http.post("/api/v1/trainings/start", json={"strategy_name": "momentum"})
        async with http.websocket("/api/v1/operations/op_1/ws") as socket:
            states = [json.loads(await socket.receive_text())]
            while not OperationStatus(states[-1]["status"]).ended:
                states.append(json.loads(await socket.receive_text()))
        assert states[-1]["status"] == "completed"
        async with http.websocket("/api/v1/operations/endless/ws") as socket:
            assert json.loads(await socket.receive_text())["operation_id"] == "op_0"
            assert not fake.left.is_set()
        assert await asyncio.to_thread(fake.left.wait, 10)


async def test_a_null_test_arrives_as_one(fake: FakeClient, url: str) -> None:
    """With its walks, and under its key; a training beside it stays one."""
    overrides = StrategyOverrides(null_test=7, symbols=["EURUSD"])
    wanted = StartTraining(type="null_test", strategy_name="momentum", overrides=overrides, idempotency_key="k")
    training = StartTraining(strategy_name="momentum")
    async with HttpClient(url) as client:
        assert (await client.start_training(wanted)).type == "null_test"
        assert (await client.start_training(training)).type == "training"
    assert fake.wanted == [wanted, training]


async def test_names_that_would_lead_elsewhere_are_not_sent(url: str) -> None:
    """A dot or a slash in a name would be another path."""
    async with HttpClient(url) as client:
        for name in ("..", "a/../b", ""):
            with pytest.raises(InvalidName):
                await client.operation(name)


async def test_nobody_there_is_a_sentence() -> None:
    """With the address, and what to do."""
    async with HttpClient("http://127.0.0.1:9") as client:
        with pytest.raises(Unavailable, match=r"does not answer .*start one with `ktrdr serve`"):
            await client.training_config()


def test_what_a_client_is_given_is_checked_without_showing_it(tmp_path: Path) -> None:
    """A key that cannot be one, and certificates that are not there: both named, the key not shown."""
    with pytest.raises(InvalidSettings, match="KTRDR_API_KEY holds characters") as refused:
        HttpClient("http://localhost:8000", api_key="ktrdr_secret\nkey")
    assert "secret" not in str(refused.value)
    for file in (tmp_path / "nowhere.pem", tmp_path):
        with pytest.raises(InvalidSettings, match=r"KTRDR_CA_FILE=.*certificates"):
            HttpClient("https://localhost:8000", ca_file=file)


def test_a_certificate_that_nobody_trusts_says_what_to_set() -> None:
    """Not that the server is away."""
    error = ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed")
    told = HttpClient("https://localhost:8000")._unreachable(error)
    assert str(told).startswith("the certificate of the server https://localhost:8000 is not trusted (self-signed")
    assert "KTRDR_CA_FILE" in str(told)
