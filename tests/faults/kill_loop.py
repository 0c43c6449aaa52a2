"""Kills a server at random moments, again and again, while trainings are asked for, and then counts.

    python -m tests.faults.kill_loop --rounds 100 [--database postgresql://…]

Every training that was asked for has to end completed, once, with one model; the database has to be whole. The exit
code is 0 when that holds.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ktrdr.client.http import HttpClient
from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.training import StartTraining
from ktrdr.errors import KtrdrError, Unavailable

ROOT = Path(__file__).parents[2]


@dataclass
class Count:
    """What the loop has seen. `ready` is in seconds, from the start of a killed server to its being ready."""

    rounds: int = 0
    asked: int = 0
    completed: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    database: str = "ok"
    attempts: int = 0
    ready: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.lost and not self.duplicated and self.database == "ok"


class Server:
    """A server on a home, killed and started again on the same port."""

    def __init__(self, home: Path, database: str | None, generator: random.Random) -> None:
        self._home = home
        self._generator = generator
        self._environment = {**os.environ, "KTRDR_CHECKPOINT_SECONDS": "0.05", "KTRDR_MAX_ATTEMPTS": "1000"}
        if database:
            self._environment["KTRDR_DATABASE_URL"] = database
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        isolation = self._generator.choice(["process", "thread"])
        command = [sys.executable, "-m", "ktrdr", "--home", str(self._home), "--log-level", "ERROR", "serve"]
        self._process = subprocess.Popen(
            [*command, "--port", port, "--isolation", isolation],
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if "serves at" not in said:
            raise RuntimeError(said + self._process.stderr.read())
        self.url = said.partition("serves at ")[2].partition(";")[0]

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self._process.send_signal(number)
        self._process.wait(30)
        self._process.stderr.close()


async def loop(home: Path, rounds: int, *, database: str | None = None, seed: int | None = None) -> Count:
    """Kill `rounds` times, wait for what was asked for, and count."""
    generator, count = random.Random(seed), Count()
    server = Server(home, database, generator)
    server.start()
    ids: list[str] = []
    for number in range(rounds):
        asking = asyncio.create_task(_ask(server.url, f"{number}", ids, generator.randint(1, 2)))
        await asyncio.sleep(generator.uniform(0.0, 6.0))
        server.kill()
        begun = time.monotonic()
        await asyncio.to_thread(server.start)
        await _ready(server.url)
        count.ready.append(time.monotonic() - begun)
        await asking
        count.rounds += 1
    async with HttpClient(server.url) as client:
        for operation_id in ids:
            async for operation in client.watch(operation_id):
                last = operation
            count.attempts += last.attempt
            if last.status is OperationStatus.COMPLETED:
                count.completed += 1
            else:
                count.lost.append(f"{operation_id} is {last.status}: {last.error}")
        count.asked = len(ids)
        known = await client.operations(limit=1)
        if known.total != len(ids):
            count.duplicated.append(f"{known.total} operations for {len(ids)} requests")
    server.kill(signal.SIGTERM)
    _count_models(home, ids, count)
    if not database:
        with sqlite3.connect(home / ".ktrdr" / "operations.db") as connection:
            count.database = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.close()
    return count


async def _ask(url: str, name: str, ids: list[str], trainings: int) -> None:
    """Ask until it is answered, as a careful program does: with a key, so that asking twice starts nothing twice."""
    for number in range(trainings):
        wanted = StartTraining(strategy_name="tiny", idempotency_key=f"{name}-{number}")
        while True:
            try:
                async with HttpClient(url) as client:
                    ids.append((await client.start_training(wanted)).operation_id)
                    break
            except Unavailable:
                await asyncio.sleep(0.1)


async def _ready(url: str) -> None:
    async with HttpClient(url) as client:
        while True:
            try:
                await client.strategies()
            except KtrdrError:
                await asyncio.sleep(0.02)
            else:
                return


def _count_models(home: Path, ids: list[str], count: Count) -> None:
    saved = Counter(
        json.loads(file.read_text(encoding="utf-8"))["operation_id"]
        for file in (home / "models").glob("*/*_v*/metadata.json")
        if not file.parent.is_symlink()
    )
    count.lost += [f"{operation_id} has no model" for operation_id in ids if not saved[operation_id]]
    count.duplicated += [f"{operation_id} has {models} models" for operation_id, models in saved.items() if models > 1]


def make_home(folder: Path) -> Path:
    """A home with the bundled bars and a training of less than a second."""
    (folder / "strategies").mkdir(parents=True)
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    text = text.replace("name: eurusd_momentum", "name: tiny").replace("epochs: 60", "epochs: 12")
    (folder / "strategies" / "tiny.yaml").write_text(text, encoding="utf-8")
    bars = ROOT / "examples" / "data" / "EURUSD_1h.csv.gz"
    command = [sys.executable, "-m", "ktrdr", "--home", str(folder), "data", "import", str(bars)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--database", help="a PostgreSQL URL, upgraded and empty")
    parser.add_argument("--seed", type=int)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        count = asyncio.run(loop(make_home(folder / "home"), wanted.rounds, database=wanted.database, seed=wanted.seed))
    finally:
        shutil.rmtree(folder)
    ready = sorted(count.ready)
    sys.stdout.write(
        f"{count.rounds} kills, {count.asked} trainings asked for, {count.completed} completed in {count.attempts}"
        f" attempts; lost {len(count.lost)}, duplicated {len(count.duplicated)}, database {count.database};"
        f" answering again after {ready[len(ready) // 2]:.1f} s (median), {ready[-1]:.1f} s (most)\n"
    )
    for finding in (*count.lost, *count.duplicated):
        sys.stdout.write(f"  {finding}\n")
    return 0 if count.good else 1


if __name__ == "__main__":
    raise SystemExit(main())
