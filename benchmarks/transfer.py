"""Results of every size on their way from a host to a backend, two real programs: seconds, memory, compression.

    python -m benchmarks transfer

Memory is the most that a program held for itself (RssAnon, looked at every 10 ms) above what it held before the
transfer began; files that are mapped are the system's to drop.
"""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS
from ktrdr.contracts.hosts import SessionStart, SessionStatus
from ktrdr.contracts.training import CancellationToken, TrainingRequest
from ktrdr.logs import configure_logging
from ktrdr.settings import load_settings

ROOT = Path(__file__).parents[1]
SIZES = {"10 kB": 38, "1 MB": 500, "100 MB": 5_000, "1 GB": 15_800}
"""Weights, and the width of two hidden layers that have so many."""


@dataclass
class Memory:
    """The most that a process held for itself, above what it held when this began. Bytes."""

    pid: int
    most: int = 0

    def __enter__(self) -> "Memory":
        self._before, self._ended = _held(self.pid), threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, _held(self.pid) - self._before)


def _held(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def make_homes(folder: Path) -> tuple[Path, Path]:
    """A backend's home with bars and a strategy for each size, and an empty one."""
    backend, host = folder / "backend", folder / "host"
    (backend / "strategies").mkdir(parents=True)
    host.mkdir()
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    (backend / "strategies" / "size.yaml").write_text(text.replace("name: eurusd_momentum", "name: size"))
    bars = ROOT / "examples" / "data" / "EURUSD_1h.csv.gz"
    command = [sys.executable, "-m", "ktrdr", "--home", str(backend), "data", "import", str(bars)]
    subprocess.run(command, check=True, capture_output=True)
    return backend, host


class Caught:
    """A sink that keeps the artifact."""

    def __init__(self) -> None:
        self.artifact: Any = None

    def save(self, artifact: Any) -> str:
        self.artifact = artifact
        return ""


def finished_session(host: Path, request: TrainingRequest, artifact: Any, width: int) -> tuple[float, int, int]:
    """A session that has trained a model of that width: seconds of packing it, its bytes and its packed bytes."""
    import torch

    from ktrdr.execution.artifact import file_writers
    from ktrdr.execution.reporting import strategy_digest
    from ktrdr.execution.seeds import torch_generator
    from ktrdr.execution.strategy.reading import resolved, restore_strategy
    from ktrdr.execution.transfer.sending import SessionSink, read_payload
    from ktrdr.host_service.session import TrainingSession

    strategy = restore_strategy(request.strategy)
    written = io.BytesIO()
    artifact.context(written)
    context = torch.load(io.BytesIO(written.getvalue()), weights_only=True) | {
        "strategy": json.dumps(resolved(strategy))
    }
    model = strategy.model.build(len(strategy.feature_names), 3, torch_generator(1, "weights"))
    weights, packed_context = file_writers(model.state_dict(), context)
    metadata = artifact.documents["metadata"]
    provenance = metadata["provenance"] | {"strategy_digest": strategy_digest(strategy)}
    documents = {**artifact.documents, "metadata": {**metadata, "provenance": provenance}}
    session = TrainingSession.begin(
        host / ".ktrdr" / "sessions",
        SessionStart(session_id=request.operation_id, request=request, series=[]),
        datetime.now(UTC),
    )
    begun = time.perf_counter()
    SessionSink(host / ".ktrdr" / "sessions").save(
        replace(
            artifact,
            operation_id=request.operation_id,
            weights=weights,
            context=packed_context,
            documents=documents,
        )
    )
    seconds = time.perf_counter() - begun
    session.end(SessionStatus.FINISHED, datetime.now(UTC))
    payload = read_payload(session.folder, request.operation_id)
    return seconds, payload.model_state_dict.size, payload.model_state_dict.compressed_size


def trained_artifact(backend: Path) -> tuple[Any, dict[str, Any]]:
    """What one short training leaves, and its strategy."""
    from ktrdr.execution.data.manager import DataManager
    from ktrdr.execution.data.store import BarStore
    from ktrdr.execution.executor import TrainingExecutor
    from ktrdr.execution.strategy.repository import StrategyFiles

    strategy = StrategyFiles(backend / "strategies").read("size").resolved
    caught = Caught()
    executor = TrainingExecutor(DataManager(BarStore(backend / "data")), caught, device="cpu")
    request = TrainingRequest(operation_id="train-size", strategy_name="size", strategy=strategy)
    executor.execute(request, lambda *_, **__: None, lambda: False)
    return caught.artifact, strategy


def request_of(strategy: dict[str, Any], name: str, width: int) -> TrainingRequest:
    model = {
        **strategy["model"],
        "architecture": {**strategy["model"]["architecture"], "hidden_layers": [width, width]},
    }
    return TrainingRequest(
        operation_id=f"train-{name.replace(' ', '')}",
        strategy_name="size",
        strategy={**strategy, "model": model},
        requested_mode="host",
        execution_mode="host",
        host="h1",
    )


async def fetch(settings: Any, requests: list[TrainingRequest], host_pid: int) -> list[dict[str, Any]]:
    """Let a backend's runner bring each result home."""
    from ktrdr.wiring.backend import open_backend

    measured = []
    async with AsyncExitStack() as stack:
        backend = await open_backend(settings, stack, role="embedded")
        operations = backend.services.operations
        for request in requests:
            await operations.create(request, "host", "the benchmark", host="h1")
            token = CancellationToken()
            await operations.start(request.operation_id, 1, token)
            with Memory(os.getpid()) as ours, Memory(host_pid) as theirs:
                begun = time.perf_counter()
                result = await backend.sessions.run(request, lambda *_, **__: None, token)
                seconds = time.perf_counter() - begun
            await operations.complete(request.operation_id, 1, result)
            assert result.model_path is not None
            measured.append({"seconds": seconds, "backend_bytes": ours.most, "host_bytes": theirs.most})
        await operations.aclose()
    return measured


def main() -> None:
    """Measure, print a table and write JSON."""
    configure_logging()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        backend, host = make_homes(Path(folder))
        artifact, strategy = trained_artifact(backend)
        requests = [request_of(strategy, "warm up", 38)]
        finished_session(host, requests[0], artifact, 38)
        for name, width in SIZES.items():
            request = request_of(strategy, name, width)
            seconds, size, packed = finished_session(host, request, artifact, width)
            requests.append(request)
            rows.append({"weights": name, "bytes": size, "packed_bytes": packed, "pack_seconds": seconds})
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "ktrdr", "--home", str(host), "host", "serve", "--port", str(port)],
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_it_listens(port)
            settings = load_settings(home=backend, hosts=[{"name": "h1", "url": f"http://127.0.0.1:{port}"}])
            measured = asyncio.run(fetch(settings, requests, process.pid))[1:]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    rows = [
        {**row, **times, "ratio": row["bytes"] / row["packed_bytes"]} for row, times in zip(rows, measured, strict=True)
    ]
    table = Table(
        "weights", "way", "pack", "bring home", "MB/s", "backend holds", "host holds", "ratio", title="Transfer"
    )
    for row in rows:
        way = "JSON" if row["packed_bytes"] <= 16 * 1024 * 1024 else "fetch"
        table.add_row(
            row["weights"],
            way,
            f"{row['pack_seconds']:.2f} s",
            f"{row['seconds']:.2f} s",
            f"{row['bytes'] / 1e6 / row['seconds']:.0f}",
            f"+{row['backend_bytes'] / 1e6:.0f} MB",
            f"+{row['host_bytes'] / 1e6:.0f} MB",
            f"{row['ratio']:.3f}",
        )
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "transfer.json").write_text(json.dumps(rows, indent=2) + "\n")


def _until_it_listens(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the host does not listen")
