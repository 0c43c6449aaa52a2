"""A backend and a host service as two programs on this machine: `make demo-host`.

The demo strategy is trained on the host and its model arrives in the backend's store; then it is trained here, in this
process's own way, and the two are compared tensor by tensor.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import torch

STRATEGY = "strategies/eurusd_momentum.yaml"
KTRDR = [sys.executable, "-m", "ktrdr"]


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@contextmanager
def program(words: list[str], health: str, log: Path, **environment: str) -> Iterator[None]:
    """`ktrdr` with these words, ready for use, until the end of the block."""
    with log.open("w") as lines:
        process = subprocess.Popen([*KTRDR, *words], stdout=lines, stderr=lines, env={**os.environ, **environment})
        try:
            until = time.monotonic() + 60
            while not _is_ready(health, environment["KTRDR_HOST_KEY"]):
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"`ktrdr {' '.join(words)}` does not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _is_ready(url: str, key: str) -> bool:
    try:
        return httpx2.get(url, headers={"Authorization": f"Bearer {key}"}).is_success
    except httpx2.HTTPError:
        return False


def weights(models: Path, strategy: str) -> dict[str, torch.Tensor]:
    """Of the newest model there."""
    (newest,) = (models / strategy).glob("*_latest")
    loaded: dict[str, torch.Tensor] = torch.load(newest / "model.pt", weights_only=True)
    return loaded


def main() -> int:
    backend, host, key = (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", secrets.token_urlsafe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"The host service starts at {host}, with no bars of its own; the server at {backend}.", flush=True)
        host_words = ["--home", str(folder / "host"), "host", "serve", "--port", host.rpartition(":")[2]]
        hosts = json.dumps([{"name": "demo-host", "url": host}])
        with (
            program(
                host_words,
                f"{host}/health",
                folder / "host.log",
                KTRDR_HOST_KEY=key,
                KTRDR_CALLBACK_ORIGINS=json.dumps([backend]),
            ),
            program(
                ["serve", "--port", backend.rpartition(":")[2]],
                f"{backend}/health/ready",
                folder / "server.log",
                KTRDR_HOST_KEY=key,
                KTRDR_HOSTS=hosts,
            ),
        ):
            train = [*KTRDR, "--server", backend, "models", "train", STRATEGY, "--mode", "host"]
            print(f"$ {' '.join(['ktrdr', *train[3:]])}", flush=True)
            if code := subprocess.run(train, check=False).returncode:
                return code
        print("\nThe same here, to compare…", flush=True)
        here = [*KTRDR, "models", "train", STRATEGY, "--mode", "local", "--models-dir", str(folder / "here"), "--json"]
        subprocess.run(here, check=True, stdout=subprocess.DEVNULL)
        remote, local = weights(Path("models"), "eurusd_momentum"), weights(folder / "here", "eurusd_momentum")
        same = remote.keys() == local.keys() and all(torch.equal(remote[name], local[name]) for name in local)
    said = f"all {len(local)} weight tensors are equal, bit for bit" if same else "the weights DIFFER"
    print(f"Trained on the host and trained here: {said}.")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
