"""How soon a training host hears of a cancel, from the request on: two real programs.

python -m tests.faults.cancels --rounds 20
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx2

from tests.faults.host_faults import SETTINGS
from tests.faults.machines import Machines, two_machines

LIMIT = 0.25 + 2.0
"""Seconds: what a cancel may take, and the longest wait between two polls."""


def cancel_one(machines: Machines, to_host: httpx2.Client, to_backend: httpx2.Client) -> tuple[float, float]:
    """Seconds until the host's session stops, and until the operation is cancelled."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    begun = time.perf_counter()
    to_backend.delete(f"/api/v1/operations/{operation_id}").raise_for_status()
    while to_host.get(f"/training/status/{operation_id}").json()["status"] == "running":
        time.sleep(0.002)
    heard = time.perf_counter() - begun
    while to_backend.get(f"/api/v1/operations/{operation_id}").json()["status"] != "cancelled":
        time.sleep(0.002)
    return heard, time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as folder,
        two_machines(Path(folder), **SETTINGS) as machines,
        httpx2.Client(
            base_url=machines.host.url, headers={"Authorization": f"Bearer {machines.key}"}, timeout=30
        ) as to_host,
        httpx2.Client(base_url=machines.backend.url, timeout=30) as to_backend,
    ):
        times = [cancel_one(machines, to_host, to_backend) for _ in range(rounds)]
    for name, seconds in zip(("the host has heard of it", "it is cancelled"), zip(*times, strict=True), strict=True):
        said = f"{name}: median {statistics.median(seconds) * 1000:.0f} ms, most {max(seconds) * 1000:.0f} ms"
        sys.stdout.write(f"{said} ({rounds} rounds)\n")
    return 0 if max(heard for heard, _ in times) < LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
