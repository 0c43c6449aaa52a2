"""How things are measured here: pairs interleaved on a noisy machine, the median of their ratios and its interval."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The median of the ratios of interleaved pairs with its 95 % bootstrap interval; seconds are medians."""

    name: str
    against: str
    ratio: float
    low: float
    high: float
    pairs: int
    seconds: float
    seconds_against: float


def interleaved(
    name: str,
    run: Callable[[], object],
    against: str,
    other: Callable[[], object],
    *,
    half_width: float = 0.02,
    at_least: int = 7,
    at_most: int = 200,
    seconds: float = 300.0,
) -> Ratio:
    """Time pairs in alternating order until half the interval is below `half_width` of the ratio, or time is up."""
    times: list[tuple[float, float]] = []
    begun = time.perf_counter()
    timed(run), timed(other)  # warm up
    while True:
        order = (run, other) if len(times) % 2 else (other, run)
        taken = [timed(one) for one in order]
        times.append((taken[0], taken[1]) if order[0] is run else (taken[1], taken[0]))
        if len(times) < at_least:
            continue
        result = summarised(name, against, times)
        narrow = (result.high - result.low) / 2 <= half_width * result.ratio
        if narrow or len(times) >= at_most or time.perf_counter() - begun > seconds:
            return result


def summarised(name: str, against: str, times: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio of a list of pairs of seconds."""
    ratios = np.array([one / other for one, other in times])
    samples = np.random.default_rng(0).choice(ratios, size=(2000, len(ratios)))
    low, high = np.quantile(np.median(samples, axis=1), [0.025, 0.975])
    return Ratio(
        name=name,
        against=against,
        ratio=float(np.median(ratios)),
        low=float(low),
        high=float(high),
        pairs=len(times),
        seconds=statistics.median(one for one, _ in times),
        seconds_against=statistics.median(other for _, other in times),
    )


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call; a callable may answer its own seconds as a float."""
    begun = time.perf_counter()
    own = run()
    return own if isinstance(own, float) else time.perf_counter() - begun


def python(code: str) -> Callable[[], object]:
    """A fresh interpreter that runs this code."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def show(title: str, ratios: Sequence[Ratio], notes: Mapping[str, Any] | None = None) -> None:
    """Print the table and write `results/<title>.json`."""
    table = Table(title=title)
    for column in ("what", "against", "ratio", "95 % interval", "pairs", "seconds", "against"):
        table.add_column(column, justify="left" if column in ("what",) else "right")
    for row in ratios:
        table.add_row(
            row.name,
            row.against,
            f"{row.ratio:.3f}",
            f"{row.low:.3f} – {row.high:.3f}",
            str(row.pairs),
            f"{row.seconds:.3f}",
            f"{row.seconds_against:.3f}",
        )
    console = Console()
    console.print(table)
    for name, value in (notes or {}).items():
        console.print(f"  {name}: {value}")
    RESULTS.mkdir(exist_ok=True)
    document = {"ratios": [asdict(row) for row in ratios], "notes": dict(notes or {})}
    path = RESULTS / f"{title.replace(' ', '_')}.json"
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
