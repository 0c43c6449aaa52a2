"""A server that is told to stop gives its training back, and the next one goes on where it stood."""

import asyncio
import random
import signal
from pathlib import Path

from ktrdr.client.http import HttpClient
from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.training import StartTraining
from tests.faults.kill_loop import Server, make_home


async def test_a_stopped_training_goes_on_under_the_next_server(tmp_path: Path) -> None:
    """Under the same id and attempt, from its checkpoint; whoever watches it hears the end."""
    home = make_home(tmp_path / "home")
    strategy = home / "strategies" / "tiny.yaml"
    text = strategy.read_text(encoding="utf-8")
    strategy.write_text(text.replace("epochs: 12", "epochs: 400").replace("patience: 12", "patience: 400"))
    server = Server(home, None, random.Random(1))
    server.start()
    async with HttpClient(server.url) as client:
        operation = await client.start_training(StartTraining(strategy_name="tiny"))
        seen = asyncio.create_task(_last(client, operation.operation_id))
        while (operation.progress is None) or operation.progress.details.get("epoch", 0) < 3:
            await asyncio.sleep(0.05)
            operation = await client.operation(operation.operation_id)
        server.kill(signal.SIGTERM)
        await asyncio.to_thread(server.start)
        done = await seen
        log = await client.operation_log(operation.operation_id)
    server.kill(signal.SIGTERM)
    assert (done.status, done.attempt) == (OperationStatus.COMPLETED, 1)
    assert next(line["epochs"] for line in log if line["event"] == "going on from the checkpoint") >= 3


async def _last(client: HttpClient, operation_id: str):
    async for operation in client.watch(operation_id):
        last = operation
    return last
