"""What the labels of a training were, in lines for its summary."""

from collections.abc import Iterator, Mapping
from typing import Any

from ktrdr.cli.output import number

COUNTS = {
    "ambiguous": "bars that touched both barriers",
    "turning_points": "turning points",
    "macro_legs": "macro legs",
}


def label_lines(labels: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The source with its look ahead, how long each answer lasts, what the numbers are, and what chance gives."""
    yield "labels", f"{labels.get('source', '–')}{_look_ahead(labels.get('look_ahead_bars') or {})}"
    counted = [f"{labels[name]:,} {what}" for name, what in COUNTS.items() if labels.get(name)]
    if counted:
        yield "", ", ".join(counted)
    lasting = labels.get("duration_bars") or {}
    if lasting:
        told = ", ".join(f"{name} {number(runs.get('median'), 0)}" for name, runs in lasting.items())
        yield "", f"an answer lasts (median bars): {told}"
    numbers = (labels.get("distribution") or {}).get("train") or {}
    if "mean" in numbers:
        yield (
            "",
            (
                f"in training {_return(numbers, 'mean')} on average, deviating by {number(numbers.get('sd'), 6)};"
                f" 5 % to 95 %: {_return(numbers, 'q05')} to {_return(numbers, 'q95')}"
            ),
        )
    chance = labels.get("random_walk_classes") or {}
    if chance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in chance.items())
        yield "", f"a walk without direction or time limit gives {shares}"


def _look_ahead(ahead: Mapping[str, Any]) -> str:
    if not ahead:
        return ""
    median, p99, most = (number(ahead.get(name), 0) for name in ("median", "p99", "max"))
    return f", looking ahead {median} bars (median), {p99} (99 %), {most} (most)"


def _return(numbers: Mapping[str, Any], name: str) -> str:
    return f"{numbers[name]:+.6f}"
