"""Every labeler on a million bars, and on twelve years of hours where they are there: seconds and memory of one run.

python -m benchmarks labels
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS
from ktrdr.execution.data.bars import COLUMNS, Bars
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.labels.base import NULL, Labeler
from ktrdr.execution.labels.library import LABELERS
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.uniqueness import uniqueness

YEARS = Path(__file__).parents[2] / "shared" / "data" / "EURUSD_1h.parquet"
COUNT = 1_000_000
REPEATS = 7


def cases() -> dict[str, Labeler]:
    """Each labeler with its defaults, and those settings that take another path."""
    return {
        **{kind().source: kind() for kind in LABELERS},
        "triple_barrier: close, events": TripleBarrier(vol_method="close", cusum_threshold=0.0),
        "triple_barrier: 1,000 bars": TripleBarrier(max_holding_period=1_000, pt_multiplier=20, sl_multiplier=20),
    }


def runs(bars: Bars) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is measured on these bars, by name."""
    for name, labeler in cases().items():
        yield name, lambda labeler=labeler: labeler.label(bars)
    labels = TripleBarrier().label(bars)
    spans = np.flatnonzero(labels.known_at != NULL)
    yield "triple_barrier: uniqueness", lambda: uniqueness(spans, labels.known_at[spans])


def walk(count: int) -> Bars:
    """Hours of a walk as wide as a currency's, with consistent prices."""
    generator = np.random.default_rng(1)
    close = np.exp(np.cumsum(generator.normal(0, 0.0012, count)))
    open_ = np.concatenate([[1.0], close[:-1]])
    spread = np.exp(np.abs(generator.normal(0, 0.0006, (2, count))))
    high, low = np.maximum(open_, close) * spread[0], np.minimum(open_, close) / spread[1]
    time_ = np.arange(count, dtype=np.int64) * 3_600_000_000
    return Bars("WALK", parse_timeframe("1h"), "24/7", time_, open_, high, low, close, np.ones(count))


def series(name: str) -> Bars:
    """The walk, or the stored hours."""
    if name == "walk":
        return walk(COUNT)
    stored = pl.read_parquet(YEARS)
    columns = {column.lower(): stored[column] for column in stored.columns}
    stamp = next(column for column in stored.columns if stored[column].dtype.is_temporal())
    columns["time"] = stored[stamp].dt.epoch("us")
    return Bars("EURUSD", parse_timeframe("1h"), "fx", *(columns[name].to_numpy() for name in COLUMNS))


def main() -> None:
    """Seconds are those of a million bars, on the clock and of the processor."""
    names = ["walk", *(["EURUSD 1h"] if YEARS.exists() else [])]
    found = {name: measured(series(name)) for name in names}
    memory = {case: memory_of(index) for index, case in enumerate(found["walk"])}
    table = Table(title=f"labels: seconds for a million bars, memory beyond the bars ({COUNT:,} of a walk)")
    table.add_column("labeler")
    for name in names:
        table.add_column(name, justify="right")
        table.add_column("processor", justify="right")
    table.add_column("bytes a bar", justify="right")
    for case in found["walk"]:
        seconds = [f"{value:.3f}" for name in names for value in found[name][case].values()]
        table.add_row(case, *seconds, "–" if memory[case] is None else f"{memory[case]:,.0f}")
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    document = {"seconds_per_million_bars": found, "memory_bytes_per_bar": memory}
    (RESULTS / "labels.json").write_text(json.dumps(document, indent=2), encoding="utf-8")


def measured(bars: Bars) -> dict[str, dict[str, float]]:
    """The median of a few runs, compiled loops being loaded before: on the clock, and of the processor's time."""
    results = {}
    for name, run in runs(bars):
        run()
        taken = [_timed(run) for _ in range(REPEATS)]
        clock, processor = (statistics.median(seconds) * 1e6 / len(bars) for seconds in zip(*taken, strict=True))
        results[name] = {"clock": clock, "processor": processor}
    return results


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    begun = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def memory_of(index: int) -> float | None:
    """The most memory that one run on the walk needs beyond its bars, in bytes a bar, in a process of its own."""
    code = f"from benchmarks.labels import print_memory; print_memory({index})"
    freed_at_once = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # so that no run finds the memory of one before
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=freed_at_once)
    return float(done.stdout) if done.stdout.strip() else None


def print_memory(index: int) -> None:
    """Linux keeps the most memory that a process has had, and forgets it when told to."""
    forget = Path("/proc/self/clear_refs")
    if not forget.exists():
        return
    small = [run for _, run in runs(walk(2_000))][index]
    small()
    run = [run for _, run in runs(walk(COUNT))][index]
    before = _resident("VmRSS")
    forget.write_text("5")
    run()
    print((_resident("VmHWM") - before) / COUNT)


def _resident(what: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
