"""A value beside what walks without direction gave for it: its excess over them, and how often chance does as well."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SCORES: Mapping[str, tuple[str, ...]] = {
    "net_sharpe": ("trades", "sharpe"),
    "balanced_accuracy": ("balanced_accuracy",),
    "accuracy": ("accuracy",),
    "directional_accuracy": ("directional_accuracy",),
    "information_coefficient": ("information_coefficient",),
}
"""What is compared, as far as a strategy has it, and where a training's metrics have it."""
TESTED = ("net_sharpe", "balanced_accuracy")
"""What a p is told of: the more of them, the more likely that one is small by chance."""


def scores_of(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The scores that these metrics have. None where there is no number: a Sharpe ratio without trades."""
    scores = {}
    for name, path in SCORES.items():
        found: Any = metrics
        for key in path:
            if not isinstance(found, Mapping) or key not in found:
                break
            found = found[key]
        else:
            scores[name] = None if found is None or found != found else float(found)  # noqa: PLR0124 - not a number
    return scores


def compared(
    value: Mapping[str, float | None], walks: Sequence[Mapping[str, float | None]]
) -> dict[str, dict[str, float | None]]:
    """For each score: `value`, and of the walks `null_mean`, `null_sd`, `null_low` and `null_high` (5 and 95 %); the
    `excess` of the value over the mean, and the `p` of those that are tested.

    A walk without a number counts as 0, what a strategy earns that does not trade. A value without one has no p.
    """
    return {
        name: _figures(own, np.array([walk.get(name) or 0.0 for walk in walks]), tested=name in TESTED)
        for name, own in value.items()
    }


def p_value(value: float, null: np.ndarray) -> float:
    """(1 + how many of the null reach the value) / (1 + how many there are): never 0, as chance never excludes a value
    (Davison & Hinkley 1997, 4.2)."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))


def _figures(value: float | None, null: np.ndarray, *, tested: bool) -> dict[str, float | None]:
    low, high = np.quantile(null, (0.05, 0.95))
    mean = float(null.mean())
    return {
        "value": value,
        "null_mean": mean,
        "null_sd": float(null.std(ddof=1)) if len(null) > 1 else None,
        "null_low": float(low),
        "null_high": float(high),
        "excess": None if value is None else value - mean,
        **({"p": None if value is None else p_value(value, null)} if tested else {}),
    }
