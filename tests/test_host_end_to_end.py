"""A backend and a host over TLS, each trusting a private authority: a model comes home that equals one trained here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
import torch

from ktrdr.api.app import create_app
from ktrdr.contracts.bars import SeriesImport
from ktrdr.contracts.hosts import Delivery
from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.contracts.training import StartTraining
from ktrdr.errors import Unavailable
from ktrdr.execution.runners.host_link import HostLinks, http_client
from ktrdr.execution.runners.local import LocalTrainingRunner
from ktrdr.execution.transfer.sending import read_payload
from ktrdr.host_service.app import create_app as create_host_app
from ktrdr.settings import Settings, load_settings
from ktrdr.wiring import host_service as wired
from ktrdr.wiring.backend import open_backend
from ktrdr.wiring.parts import build_client, operation_logs
from tests.host_service.parts import free_port, served, until
from tests.support import ROOT

TLS = ROOT / "tests" / "tls"
PAIR = {"ssl_certfile": str(TLS / "certificate.pem"), "ssl_keyfile": str(TLS / "key.pem")}
STRATEGY = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8").replace("epochs: 60", "epochs: 3")


@asynccontextmanager
async def a_host(settings: Settings) -> AsyncIterator[Any]:
    """Its sessions; trainings run in a thread of this process."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_client(settings.ca_file))
        runner = LocalTrainingRunner(partial(wired.build_host_executor, settings))
        sessions = wired._sessions(settings, http, runner, list(settings.callback_origins))
        await sessions.open()
        stack.push_async_callback(sessions.suspend)
        found = wired._devices(settings)
        app = create_host_app(
            sessions,
            key=settings.host_key,
            devices=lambda: found,
            memory=wired._memory(),
            logs=operation_logs(settings),
        )
        await stack.enter_async_context(served(app, settings.host_port, **PAIR))
        yield sessions


@asynccontextmanager
async def a_backend(settings: Settings) -> AsyncIterator[Any]:
    """Its client; the API is served on its port."""
    async with AsyncExitStack() as stack:
        backend = await open_backend(settings, stack, role="serve")

        async def services() -> Any:
            return backend.services

        client = await stack.enter_async_context(build_client(settings, services))
        app = create_app(client, desk=backend.desk, metrics=backend.metrics, scope_of=backend.keys.scope_of)
        await stack.enter_async_context(served(app, settings.port, **PAIR))
        yield client


@pytest_asyncio.fixture
async def both(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """Two homes, of which the host's has nothing in it."""
    backend_port, host_port = free_port(), free_port()
    shared = {"host_key": "a key", "ca_file": TLS / "authority.pem", "local_isolation": "thread", "device": "cpu"}
    there = load_settings(
        **shared,
        home=tmp_path / "host",
        host_port=host_port,
        callback_origins=[f"https://127.0.0.1:{backend_port}"],
    )
    here = load_settings(
        **shared,
        home=tmp_path / "backend",
        port=backend_port,
        public_url=f"https://127.0.0.1:{backend_port}",
        hosts=[{"name": "gpu1", "url": f"https://127.0.0.1:{host_port}", "price_per_hour": 3600.0}],
    )
    async with a_host(there) as sessions, a_backend(here) as client:
        await client.import_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")
        yield SimpleNamespace(sessions=sessions, client=client, home=here.home)


async def trained(client: Any, mode: str, strategy: str = STRATEGY) -> Operation:
    started = await client.start_training(StartTraining(strategy_text=strategy, execution_mode=mode))
    assert started.execution_mode == mode
    async with asyncio.timeout(60):
        async for operation in client.watch(started.operation_id):
            ended: Operation = operation
    return ended


def weights(operation: Operation) -> dict[str, torch.Tensor]:
    assert operation.status is OperationStatus.COMPLETED, operation.error
    assert operation.result is not None
    loaded: dict[str, torch.Tensor] = torch.load(
        Path(operation.result.model_path or "") / "model.pt", weights_only=True
    )
    return loaded


@pytest.mark.parametrize("large", [False, True])
async def test_a_model_from_a_host_is_the_one_trained_here(
    both: SimpleNamespace, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, whether its weights came inside JSON or as files; with its host, its cost, and the host's log."""
    if large:
        for module in ("app", "delivery"):
            inline = partial(_small, largest_inline=0)
            monkeypatch.setattr(f"ktrdr.host_service.{module}.read_payload", inline)
    remote = await trained(both.client, "host")
    local = await trained(both.client, "local")
    theirs, ours = weights(remote), weights(local)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert remote.result is not None
    assert local.result is not None
    assert remote.result.test_metrics == local.result.test_metrics
    assert remote.result.provenance["data_digest"] == local.result.provenance["data_digest"]
    usage = remote.result.resource_usage
    assert (remote.host, usage["mode"], usage["host"]) == ("gpu1", "host", "gpu1")
    assert usage["cost"] == pytest.approx(usage["seconds"], abs=1e-5)
    assert usage["device_seconds"] == {"cpu": usage["seconds"]}
    assert local.result.resource_usage["cost"] is None
    lines = await both.client.operation_log(remote.operation_id)
    assert [line["event"] for line in lines].count("training on") == 1
    session = both.sessions.session(remote.operation_id)
    await until(lambda: session.state.delivery is Delivery.DELIVERED)
    assert not list((both.home / ".ktrdr" / "incoming").glob("*"))


async def test_a_host_fetches_every_series_that_others_are_made_of(both: SimpleNamespace, tmp_path: Path) -> None:
    """Hours for the four hours above them, values for what is derived of them; the same model comes out."""
    days = (datetime(2016, 6, 1, tzinfo=UTC) + timedelta(days=day) for day in range(600))
    file = tmp_path / "values.csv"
    file.write_text("date,value\n" + "".join(f"{day:%Y-%m-%d},{2 + day.day % 7}\n" for day in days))
    for name in ("fred_A", "fred_B"):
        await both.client.import_series(file, SeriesImport(name=name, lag="1d" if name == "fred_A" else "3d"))
    strategy = (
        STRATEGY.replace("{mode: single, timeframe: 1h}", "{mode: multi_timeframe, list: [1h, 4h]}")
        .replace("indicators:\n", OTHERS, 1)
        .replace("nn_inputs:\n", "nn_inputs:\n  - {raw_indicator: carry, normalization: zscore}\n")
        .replace("history_required: 200", "history_required: 60")
    )
    remote, local = await trained(both.client, "host", strategy), await trained(both.client, "local", strategy)
    theirs, ours = weights(remote), weights(local)
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert remote.result is not None
    assert remote.result.data_summary["resampled"] == {"EURUSD 4h": "1h"}
    assert remote.result.data_summary["bars"]["yield_spread_A_B"] > 300


OTHERS = """\
context_data:
  - {provider: fred, series: [A, B]}

indicators:
  carry: {type: roc, period: 3, data_source: yield_spread_A_B}
"""


def _small(folder: Path, session_id: str, *, largest_inline: int, **_: Any) -> Any:
    return read_payload(folder, session_id, largest_inline=largest_inline)


async def test_a_host_of_another_authority_is_not_believed(both: SimpleNamespace) -> None:
    """Nothing is said to it, and least of all the key."""
    (report,) = await both.client.hosts(fresh=True)
    assert report.health is not None
    async with HostLinks(key=None) as strangers:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await strangers.health(report.host)
