"""Whether the null test tells the truth: p over many markets without anything to find, and over some with an edge.

python -m benchmarks.null_test [markets [walks]]
"""

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS
from ktrdr.contracts.training import TrainingRequest
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.nulls.source import Nowhere
from ktrdr.execution.strategy.repository import StrategyFiles
from ktrdr.logs import configure_logging

ROOT = Path(__file__).parents[1]
HOUR = 3_600_000_000
HOURS = 2_000
EDGE = 0.35
"""How much a return follows the one before it where there is something to find."""
TESTED = {"net_sharpe": "Sharpe", "balanced_accuracy": "accuracy"}


class Market:
    """Hours of EURUSD whose volatility comes in waves, and whose returns follow those before by `follow`."""

    def __init__(self, seed: int, follow: float) -> None:
        generator = np.random.default_rng(seed)
        size = np.exp(np.cumsum(generator.normal(0, 0.05, HOURS)) * 0.2)
        moves = generator.normal(0, 0.002, HOURS) * size
        for number in range(1, HOURS):
            moves[number] += follow * moves[number - 1]
        close = 1.1 * np.exp(np.cumsum(moves))
        open_ = np.append(1.1, close[:-1])
        spread = np.exp(np.abs(generator.normal(0, 0.001, (2, HOURS))) * size)
        high, low = np.maximum(open_, close) * spread[0], np.minimum(open_, close) / spread[1]
        stamps = 1_483_228_800_000_000 + np.arange(HOURS, dtype=np.int64) * HOUR
        self._bars = Bars(
            "EURUSD", parse_timeframe("1h"), "24/7", stamps, open_, high, low, close, np.full(HOURS, 100.0)
        )

    def load(self, symbol: str, timeframe: str, *, start: datetime | None, end: datetime | None, history: int) -> Bars:
        return self._bars


def null_test(strategy: Mapping[str, Any], follow: float, walks: int, seed: int) -> Mapping[str, Any]:
    """The scores of one null test."""
    labels = {"source": "triple_barrier", "pt_multiplier": 1.0, "sl_multiplier": 1.0, "max_holding_period": 3}
    training = {
        "epochs": 8,
        "learning_rate": 0.005,
        "batch_size": 128,
        "seed": seed,
        "null_test": walks,
        "early_stopping": False,
    }
    decisions = {
        "confidence_threshold": 0.34,
        "cost_model": {"round_trip_cost": 0.0},
        "allow_short_from_flat": True,
        "filters": {"min_signal_separation": 1},
    }
    changed = {
        **strategy,
        "indicators": {**strategy["indicators"], "roc_24": {"type": "roc", "period": 1}},
        "nn_inputs": [{"fuzzy_set": "day"}, {"raw_indicator": "roc_24", "normalization": "zscore"}],
        "decisions": {**strategy["decisions"], **decisions},
        "training": {**strategy["training"], **training, "null_test": walks, "labels": {**labels, "vol_span": 24}},
    }
    request = TrainingRequest(operation_id="bench", type="null_test", strategy_name="bench", strategy=changed)
    executor = TrainingExecutor(Market(seed, follow), Nowhere(), device="cpu")
    result = executor.execute(request, lambda *_, **__: None, lambda: False)
    scores: Mapping[str, Any] = result.test_metrics["null_test"]["scores"]
    return scores


def main(markets: int = 20, walks: int = 19) -> None:
    configure_logging(level="ERROR")
    strategy = StrategyFiles(ROOT / "strategies").read("eurusd_momentum").resolved
    begun = time.perf_counter()
    found: dict[str, dict[str, list[float]]] = {}
    for name, follow, count in (("nothing to find", 0.0, markets), ("an edge", EDGE, max(1, markets // 5))):
        one = partial(null_test, strategy, follow, walks)
        scores = [one(seed) for seed in range(count)]
        found[name] = {score: [each[score]["p"] for each in scores if each[score]["p"] is not None] for score in TESTED}
    table = Table(title=f"p of null tests on {walks} walks, {time.perf_counter() - begun:.0f} s")
    for column in ("markets", "score", "how many", "mean p", "p ≤ 0.05", "p ≤ 0.25", "p ≤ 0.5", "p ≤ 0.75"):
        table.add_column(column)
    for name, scores in found.items():
        for score, ps in scores.items():
            shares = [f"{np.mean(np.array(ps) <= bound + 1e-9):.0%}" for bound in (0.05, 0.25, 0.5, 0.75)]
            table.add_row(name, TESTED[score], str(len(ps)), f"{np.mean(ps):.2f}", *shares)
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "null_test.json").write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
