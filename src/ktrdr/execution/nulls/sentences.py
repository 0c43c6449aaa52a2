"""What a null test means, in plain sentences."""

from collections.abc import Mapping
from typing import Any

from ktrdr.execution.nulls.distribution import TESTED

SMALL = 0.05
EASY = 0.05
"""Labels that are told better than by guessing by this much, where there is nothing to earn, are easy ones."""
NAMES = {"net_sharpe": "The net Sharpe ratio", "balanced_accuracy": "The balanced accuracy"}

Scores = Mapping[str, Mapping[str, float | None]]


def conclusions(scores: Scores, metrics: Mapping[str, Any], walks: int) -> list[str]:
    """One sentence on each tested score, and what a reader is to beware of."""
    said = [_verdict(NAMES[name], scores[name], walks) for name in TESTED if name in scores]
    least = 1 / (1 + walks)
    if least > SMALL:
        said.append(f"{walks} walks cannot give a p below {least:.2g}: take 19 or more.")
    return [*said, *_easy_labels(scores, metrics)]


def _verdict(name: str, score: Mapping[str, float | None], walks: int) -> str:
    value, p = score["value"], score.get("p")
    null = f"{_short(score['null_mean'])} ({_short(score['null_low'])} to {_short(score['null_high'])})"
    if value is None or p is None:
        return f"{name} has no p, as there are no trades; walks without direction have {null}."
    beside = f"{name} is {_short(value)}, walks without direction have {null}, p = {p:.2g}"
    if p <= SMALL:
        return f"{beside}: chance alone seldom does as well."
    reached = round(p * (1 + walks)) - 1
    if not reached:
        return f"{beside}: no walk does as well, and so few say little."
    return f"{beside}: {reached} of {walks} do as well, which is no sign of an edge."


def _easy_labels(scores: Scores, metrics: Mapping[str, Any]) -> list[str]:
    """Zigzag labels are told right in two of three cases on pure random walks: nobody should believe such an accuracy
    before they have seen that."""
    classes = len(metrics.get("classes", ()))
    mean = scores.get("balanced_accuracy", {}).get("null_mean")
    if not classes or mean is None or mean < 1 / classes + EASY:
        return []
    accuracy = scores.get("accuracy", {}).get("null_mean") or 0.0
    return [
        f"These labels are told right in {accuracy:.0%} of all cases on walks that nobody can predict (balanced"
        f" {mean:.0%}, guessing {1 / classes:.0%}): such an accuracy is no edge. Only the excess over the walks counts."
    ]


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
