"""Training through the service against the executor called directly, and what clients cost it.

    python -m benchmarks service

Server and load lie on one core, the child that trains on the other (where there are two). Pairs are interleaved: the
executor in a process of its own, then the same training asked of the server, while clients poll.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS, summarised
from ktrdr.client.http import HttpClient
from ktrdr.contracts.operations import Operation
from ktrdr.contracts.training import StartTraining

ROOT = Path(__file__).parents[1]
EPOCHS = 120
CORES = sorted(os.sched_getaffinity(0))
OURS, THEIRS = CORES[0], CORES[-1]

DIRECT = """
import json, os, sys, time
os.sched_setaffinity(0, {%(core)d})
from functools import partial
from pathlib import Path
from ktrdr.contracts.training import TrainingRequest
from ktrdr.logs import configure_logging
from ktrdr.settings import load_settings
from ktrdr.wiring import build_executor
configure_logging()
executor = build_executor(load_settings(home=Path(sys.argv[1])))
for line in sys.stdin:
    request = TrainingRequest.model_validate_json(line)
    wall, cpu = time.perf_counter(), time.process_time()
    executor.execute(request, lambda *_, **__: None, lambda: False)
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""


def make_home(folder: Path) -> Path:
    """Bars and a strategy that trains for a few seconds."""
    (folder / "strategies").mkdir(parents=True)
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    text = text.replace("epochs: 60", f"epochs: {EPOCHS}").replace("patience: 12", f"patience: {EPOCHS}")
    (folder / "strategies" / "eurusd_momentum.yaml").write_text(text, encoding="utf-8")
    bars = str(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")
    subprocess.run([sys.executable, "-m", "ktrdr", "--home", str(folder), "data", "import", bars], check=True)
    return folder


@asynccontextmanager
async def serving(home: Path, isolation: str) -> AsyncIterator[tuple[HttpClient, int]]:
    """A server on our core, and its pid."""
    command = [sys.executable, "-m", "ktrdr", "--home", str(home), "--log-level", "ERROR", "serve", "--port", "0"]
    process = subprocess.Popen([*command, "--isolation", isolation], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = process.stderr.readline().partition("serves at ")[2].partition(";")[0]
    async with HttpClient(url) as client:
        while True:
            try:
                await client.strategies()
                break
            except Exception:  # noqa: BLE001 - not ready yet
                await asyncio.sleep(0.05)
        await trained(client)  # the child has imported everything
        pin(process.pid, OURS if isolation == "process" else THEIRS)
        for child in children(process.pid):
            pin(child, THEIRS)
        try:
            yield client, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)
            process.stderr.close()


def children(pid: int) -> list[int]:
    """The processes below a process, whichever of its threads has started them."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text(encoding="utf-8").split()]


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process on that core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def trained(client: HttpClient, operation: Operation | None = None) -> Operation:
    """A training, to its end."""
    operation = operation or await client.start_training(StartTraining(strategy_name="eurusd_momentum"))
    while not operation.status.ended:
        await asyncio.sleep(0.2)
        operation = await client.operation(operation.operation_id)
    if operation.result is None:
        raise RuntimeError(operation.error)
    return operation


async def poll(url: str, path: str, every: float, seconds: list[float]) -> None:
    """Ask once in that many seconds on a connection of one's own, as plainly as can be, and keep how long each answer
    took: a client with all that clients do would be measured instead of the server, whose core it shares."""
    address, loop = urlsplit(url), asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    at = loop.time() + every * np.random.default_rng().random()
    try:
        while True:
            await asyncio.sleep(at - loop.time())
            begun = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
            seconds.append(time.perf_counter() - begun)
            assert head.startswith(b"HTTP/1.1 200"), head
            at += every
    finally:
        writer.close()


async def with_load(client: HttpClient, url: str, clients: int) -> tuple[Operation, dict[str, list[float]]]:
    """A training while that many clients poll it once a second, and one as many times the probe."""
    operation = await client.start_training(StartTraining(strategy_name="eurusd_momentum"))
    path = f"/api/v1/operations/{operation.operation_id}"
    times: dict[str, list[float]] = {"operation": [], "live": []}
    load = [asyncio.create_task(poll(url, path, 1.0, times["operation"])) for _ in range(clients)]
    load += [asyncio.create_task(poll(url, "/health/live", 0.05, times["live"]))]
    done = await trained(client, operation)
    for task in load:
        task.cancel()
    await asyncio.gather(*load, return_exceptions=True)
    return done, times


async def against_direct(home: Path, isolation: str, pairs: int, clients: int) -> dict[str, Any]:
    """Interleaved pairs of the training through the service and directly."""
    direct = subprocess.Popen(
        [sys.executable, "-c", DIRECT % {"core": THEIRS}, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert direct.stdin is not None
    assert direct.stdout is not None
    wall, cpu, latency = [], [], {"operation": [], "live": []}
    async with serving(home, isolation) as (client, pid):
        url = client._url
        request = (await trained(client)).request

        async def directly(number: int) -> tuple[float, float]:
            sent = request.model_copy(update={"operation_id": f"direct-{isolation}-{number}"})
            direct.stdin.write(sent.model_dump_json() + "\n")
            direct.stdin.flush()
            seconds, used = json.loads(await asyncio.to_thread(direct.stdout.readline))
            return seconds, used

        await directly(-1)
        for number in range(pairs):
            one = await directly(number) if number % 2 else None
            workers = children(pid) if isolation == "process" else [pid]
            before = sum(cpu_seconds(each) for each in workers)
            done, times = await with_load(client, url, clients)
            used = sum(cpu_seconds(each) for each in workers) - before
            one = one or await directly(number)
            assert done.result is not None
            wall.append((float(done.result.resource_usage["seconds"]), one[0]))
            cpu.append((used, one[1]))
            for name, values in times.items():
                latency[name] += values
    direct.stdin.close()
    direct.wait()
    direct.stdout.close()
    return {
        "wall": asdict(summarised(f"{isolation}, {clients} clients, wall", "executor", wall)),
        "cpu": asdict(summarised(f"{isolation}, {clients} clients, CPU", "executor", cpu)),
        "operation_p99_ms": 1000 * float(np.quantile(latency["operation"], 0.99)),
        "live_p99_ms": 1000 * float(np.quantile(latency["live"], 0.99)),
    }


async def cancels(home: Path, count: int) -> dict[str, float]:
    """Seconds from asking for a cancel to the operation's end."""
    seconds = []
    async with serving(home, "process") as (client, _):
        for _ in range(count):
            operation = await client.start_training(StartTraining(strategy_name="eurusd_momentum"))
            while operation.progress is None or operation.progress.details.get("epoch", 0) < 2:
                await asyncio.sleep(0.02)
                operation = await client.operation(operation.operation_id)
            begun = time.perf_counter()
            operation = await client.cancel(operation.operation_id)
            while not operation.status.ended:
                operation = await client.operation(operation.operation_id)
            seconds.append(time.perf_counter() - begun)
    return {
        "p50_s": statistics.median(seconds),
        "p99_s": float(np.quantile(seconds, 0.99)),
        "count": count,
    }


async def follow(url: str, operation_id: str) -> bool:
    """A client on its own connection, as plain as can be: whether the last that it hears is the end."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /api/v1/operations/{operation_id}/events HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n".encode())
    last = b""
    async for line in reader:
        last = line if line.startswith(b"data: ") else last
    writer.close()
    return bool(json.loads(last.removeprefix(b"data: "))["status"] == "completed")


async def streams(home: Path, clients: int, pairs: int) -> dict[str, Any]:
    """Clients on event streams of a training: whether each got its end, and what they cost the training."""
    ratios, complete = [], 0
    async with serving(home, "process") as (client, _):
        for _ in range(pairs):
            alone = await trained(client)
            operation = await client.start_training(StartTraining(strategy_name="eurusd_momentum"))

            followers = [asyncio.create_task(follow(client._url, operation.operation_id)) for _ in range(clients)]
            done = await trained(client, operation)
            complete += sum(await asyncio.gather(*followers))
            assert done.result is not None
            assert alone.result is not None
            ratios.append((done.result.resource_usage["seconds"], alone.result.resource_usage["seconds"]))
    return {
        "ratio": asdict(summarised(f"{clients} streams", "none", ratios)),
        "complete": complete,
        "of": clients * pairs,
    }


async def lists(home: Path, count: int) -> dict[str, float]:
    """A page of the list with that many operations in the store."""
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.settings import load_settings

    seconds = []
    async with serving(home, "process") as (client, _):
        model = (await client.operations(limit=1)).items[0]
        whole = await client.operation(model.operation_id)
        store = await OperationStore.open(load_settings(home=home).database, lambda _: None, owner="benchmark")
        for number in range(count):
            at = whole.created_at - timedelta(seconds=number + 1)
            await store.insert(whole.model_copy(update={"operation_id": f"copy-{number}", "created_at": at}))
        await store.aclose()
        for number in range(300):
            begun = time.perf_counter()
            await client.operations(limit=50, offset=number)
            seconds.append(time.perf_counter() - begun)
    return {"p50_ms": 1000 * statistics.median(seconds), "p99_ms": 1000 * float(np.quantile(seconds, 0.99))}


def main(*, pairs: int = 12) -> None:
    os.sched_setaffinity(0, {OURS})
    found: dict[str, Any] = {"cores": len(CORES), "epochs": EPOCHS}
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        for name, part in (
            ("process", partial(against_direct, home, "process", pairs, 20)),
            ("thread", partial(against_direct, home, "thread", max(pairs // 2, 3), 20)),
            ("streams", partial(streams, home, 200, max(pairs // 2, 3))),
            ("cancel", partial(cancels, home, 3 * pairs)),
            ("list_of_10000", partial(lists, home, 10_000)),
        ):
            found[name] = asyncio.run(part())
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / "service.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    table = Table(title="service")
    for column in ("what", "figure"):
        table.add_column(column)
    for name, value in _flat(found):
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        rows += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return rows


if __name__ == "__main__":
    main()
