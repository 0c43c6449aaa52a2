"""A backend and a host as two real programs, with a network between them that can be told to fail."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kill_loop import make_home
from tests.faults.proxy import Proxy

LONG = {"epochs: 12": "epochs: 250", "patience: 12": "patience: 250"}
"""What makes the training of a second one of ten seconds, which is not left to its end."""


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@dataclass
class Program:
    """`ktrdr` with a home of its own; killed and started again at the same address."""

    home: Path
    command: list[str]
    environment: dict[str, str]
    url: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it takes requests."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ktrdr", "--home", str(self.home), *self.command],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        wait(self.takes_requests, "it to start", 60)

    def takes_requests(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError((self.home / "log").read_text())
        try:
            with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=1):
                return True
        except OSError:
            return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        """At once, or as the signal says."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


@dataclass
class Machines:
    """`results` stands where results go to the backend, `calls` where the backend calls the host."""

    backend: Program
    host: Program
    results: Proxy
    calls: Proxy
    key: str = ""
    started: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, *, of_host: bool = False) -> Any:
        """The JSON that one of the two answers; an error's document has `status`."""
        import httpx2

        url = self.host.url if of_host else f"{self.backend.url}/api/v1"
        headers = {"Authorization": f"Bearer {self.key}"} if of_host else {}
        return httpx2.request(method, url + path, json=body, headers=headers, timeout=30).json()

    def train(self, strategy: str = "tiny") -> str:
        """Start one on the host; its id."""
        answer = self.ask("POST", "/trainings/start", {"strategy_name": strategy, "execution_mode": "host"})
        assert answer["execution_mode"] == "host", answer
        operation_id: str = answer["operation_id"]
        self.started.append(operation_id)
        return operation_id

    def operation(self, operation_id: str) -> Any:
        return self.ask("GET", f"/operations/{operation_id}")

    def session(self, operation_id: str) -> Any:
        return self.ask("GET", f"/training/status/{operation_id}", of_host=True)

    def ended(self, operation_id: str, seconds: float = 150) -> Any:
        """The operation, once it has ended."""
        wait(lambda: self.operation(operation_id)["status"] in ("completed", "failed", "cancelled"), "the end", seconds)
        return self.operation(operation_id)

    def in_epoch(self, operation_id: str, epoch: int = 3) -> None:
        """Wait until the host has trained that many epochs, and kept a checkpoint of them."""
        wait(lambda: _epoch(self.session(operation_id)) >= epoch, f"epoch {epoch}")
        time.sleep(0.3)

    def finished(self, operation_id: str) -> None:
        """Wait until the host has the model."""
        wait(lambda: self.session(operation_id).get("status") == "finished", "the host to finish")

    def models(self, operation_id: str) -> list[Path]:
        """The versions in the backend's store that this operation has saved."""
        found = (self.backend.home / "models").glob("*/*_v*/metadata.json")
        return [file.parent for file in found if json.loads(file.read_text())["operation_id"] == operation_id]

    def trainings(self, operation_id: str) -> list[dict[str, Any]]:
        """What the host's log says of each time that it trained for this operation."""
        log = self.host.home / ".ktrdr" / "logs" / f"{operation_id}.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        return [line for line in lines if line["event"] == "training on"]

    def resumed(self, operation_id: str) -> bool:
        """Whether the host went on from a checkpoint."""
        log = self.host.home / ".ktrdr" / "logs" / f"{operation_id}.jsonl"
        return "going on from the checkpoint" in log.read_text()

    def leftovers(self) -> list[str]:
        """Half-written things in the backend's home."""
        hidden = [path for path in (self.backend.home / "models").rglob(".*") if path.suffix != ".lock"]
        incoming = [*(self.backend.home / ".ktrdr" / "incoming").glob("*")]
        return [str(path) for path in (*hidden, *incoming)]


def _epoch(session: dict[str, Any]) -> int:
    progress = session.get("progress") or {}
    return int(progress.get("details", {}).get("epoch") or 0)


def wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Until it holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


@contextmanager
def two_machines(folder: Path, **settings: str) -> Iterator[Machines]:
    """A backend with a host at the other end of a network; `settings` are the environment's, of both."""
    key = secrets.token_urlsafe()
    backend_port, host_port = free_port(), free_port()
    with Proxy(backend_port).running() as results, Proxy(host_port).running() as calls:
        both = {"KTRDR_HOST_KEY": key, "KTRDR_CHECKPOINT_SECONDS": "0.05", **settings}
        hosts = [{"name": "h1", "url": f"http://127.0.0.1:{calls.port}", "price_per_hour": 2.0}]
        backend = Program(
            make_home(folder / "backend"),
            ["serve", "--port", str(backend_port)],
            {
                **both,
                "KTRDR_HOSTS": json.dumps(hosts),
                "KTRDR_PUBLIC_URL": f"http://127.0.0.1:{results.port}",
                "KTRDR_HOST_CHECK_SECONDS": "0",
            },
            f"http://127.0.0.1:{backend_port}",
        )
        text = (backend.home / "strategies" / "tiny.yaml").read_text().replace("name: tiny", "name: long")
        for old, new in LONG.items():
            text = text.replace(old, new)
        (backend.home / "strategies" / "long.yaml").write_text(text)
        (folder / "host").mkdir()
        host = Program(
            folder / "host",
            ["host", "serve", "--port", str(host_port)],
            {**both, "KTRDR_CALLBACK_ORIGINS": json.dumps([f"http://127.0.0.1:{results.port}"])},
            f"http://127.0.0.1:{host_port}",
        )
        try:
            host.start()
            backend.start()
            yield Machines(backend, host, results, calls, key)
        finally:
            backend.kill()
            host.kill()
